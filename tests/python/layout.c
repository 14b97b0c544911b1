/* Prints the layout of the public structures, to hold shmsem.py's against. */
#include "shmsem.h"

#include <stdio.h>

#define SIZE(type)         printf(#type " %zu\n", sizeof(struct type))
#define FIELD(type, field) printf(#type "." #field " %zu\n", offsetof(struct type, field))

int main(void)
{
	SIZE(shmsem_error);
	FIELD(shmsem_error, message);
	SIZE(shmsem_connect_options);
	FIELD(shmsem_connect_options, flags);
	FIELD(shmsem_connect_options, log_data);
	SIZE(shmsem_request);
	FIELD(shmsem_request, flags);
	FIELD(shmsem_request, fit_height);
	SIZE(shmsem_info);
	FIELD(shmsem_info, from_store);
	FIELD(shmsem_info, segment);
	FIELD(shmsem_info, chromaticities);
	FIELD(shmsem_info, warning);
	SIZE(shmsem_image);
	FIELD(shmsem_image, info);
	FIELD(shmsem_image, hold);
	return 0;
}
