#include "inventory/survey.h"

#include "inventory/sysv.h"

int survey(struct objects *objects, struct holders *holders, bool sysv, struct error *err)
{
	int status = objects_read(objects, err);

	if (!status && sysv)
		status = sysv_read(objects, err);
	if (!status)
		status = holders_read(holders, err);
	if (status)
		return status;
	objects_judge(objects, holders);
	sysv_judge(objects, holders);
	return STATUS_OK;
}
