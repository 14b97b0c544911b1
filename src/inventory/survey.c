#include "inventory/survey.h"

#include "inventory/judge.h"
#include "inventory/known.h"
#include "inventory/sysv.h"

static unsigned holders_needed(const struct objects *objects, bool all)
{
	unsigned wanted = all ? HOLDERS_MEMFDS : 0;

	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i].type > OBJECT_SYSV_SEGMENT)
			wanted |= HOLDERS_WAITERS;
	return wanted;
}

static int read_all(struct survey *survey, unsigned wanted, struct error *err)
{
	struct objects *objects = &survey->objects;
	int status = objects_read(objects, true, err);

	if (status)
		return status;
	status = wanted & SURVEY_SYSV ? sysv_read(objects, err) : STATUS_OK;
	if (status)
		return status;
	status = holders_read(
		holders_needed(objects, wanted & SURVEY_MEMFDS), &survey->holders, err);
	return status ? status : objects_add_nameless(objects, &survey->holders, err);
}

int survey_take(struct survey *survey, unsigned wanted, struct error *err)
{
	struct objects *objects = &survey->objects;
	int status;

	*survey = SURVEY_NONE;
	status = read_all(survey, wanted, err);
	if (status)
		return status;
	objects_judge(objects, &survey->holders);
	sysv_judge(objects, &survey->holders);
	known_judge(objects);
	return STATUS_OK;
}

void survey_release(struct survey *survey)
{
	objects_release(&survey->objects);
	holders_release(&survey->holders);
}
