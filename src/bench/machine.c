#include "bench/machine.h"

#include "base/cleanup.h"
#include "base/number.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_model(char *model, size_t size)
{
	AUTO_FCLOSE FILE *file = fopen("/proc/cpuinfo", "re");
	char line[512];

	snprintf(model, size, "unknown processor");
	while (file && fgets(line, sizeof line, file)) {
		const char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !value)
			continue;
		value += 1 + strspn(value + 1, " ");
		snprintf(model, size, "%.*s", (int)strcspn(value, "\n"), value);
		return;
	}
}

void machine_describe(struct machine *ret)
{
	struct utsname name;

	*ret = (struct machine){.requester_cpu = -1, .responder_cpu = -1};
	read_model(ret->model, sizeof ret->model);
	if (!uname(&name))
		snprintf(ret->kernel, sizeof ret->kernel, "%.31s %.63s %.31s", name.sysname,
			name.release, name.machine);
	ret->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	ret->allowed = sched_getaffinity(0, sizeof ret->set, &ret->set) ? ret->cpus
									: CPU_COUNT(&ret->set);
	if (getloadavg(&ret->load, 1) != 1)
		ret->load = -1;
}

/* A number that tells cores apart; the CPU's own where the system does not say. */
static long core_of(int cpu)
{
	char path[96];
	long values[2] = {0, cpu};
	static const char *const names[] = {"physical_package_id", "core_id"};

	for (int i = 0; i < 2; i++) {
		AUTO_FCLOSE FILE *file = NULL;

		snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu,
			names[i]);
		file = fopen(path, "re");
		if (!file || fscanf(file, "%ld", &values[i]) != 1)
			return cpu;
	}
	return values[0] << 16 | values[1];
}

bool machine_shares_core(const struct machine *machine)
{
	if (machine->requester_cpu < 0)
		return machine->allowed == 1;
	return core_of(machine->requester_cpu) == core_of(machine->responder_cpu);
}

/* Two CPUs on different cores; one CPU, or two threads of one core, are not worth pinning to. */
static void choose_cpus(struct machine *machine, const cpu_set_t *set)
{
	int first = -1;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, set))
			continue;
		if (first < 0) {
			first = cpu;
		} else if (core_of(cpu) != core_of(first)) {
			machine->requester_cpu = first;
			machine->responder_cpu = cpu;
			return;
		}
	}
}

static int parse_cpu(const char *text, const cpu_set_t *set, int *ret, struct error *err)
{
	uint64_t cpu;
	int status = parse_number(text, "--pin", 0, CPU_SETSIZE - 1, &cpu, err);

	if (status)
		return status;
	if (!CPU_ISSET(cpu, set))
		return error_set(
			err, STATUS_USAGE, "--pin: CPU %s is not one this process may use", text);
	*ret = (int)cpu;
	return STATUS_OK;
}

int machine_pin(struct machine *machine, const char *pin, struct error *err)
{
	char words[32], *second;
	int status;

	if (!pin) {
		choose_cpus(machine, &machine->set);
		return STATUS_OK;
	}
	if (!strcmp(pin, "none"))
		return STATUS_OK;
	snprintf(words, sizeof words, "%s", pin);
	second = strchr(words, ',');
	if (second)
		*second++ = '\0';
	status = parse_cpu(words, &machine->set, &machine->requester_cpu, err);
	if (!status)
		status = parse_cpu(
			second ? second : words, &machine->set, &machine->responder_cpu, err);
	return status;
}

int machine_run_on(int cpu, struct error *err)
{
	cpu_set_t set;

	if (cpu < 0)
		return STATUS_OK;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof set, &set)
		       ? error_os(err, errno, "cannot run on CPU %d", cpu)
		       : STATUS_OK;
}

void machine_run_anywhere(const struct machine *machine)
{
	sched_setaffinity(0, sizeof machine->set, &machine->set);
}

static bool slow_governor(const struct machine *machine, char *name, size_t size)
{
	char path[96];
	AUTO_FCLOSE FILE *file = NULL;

	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
		machine->requester_cpu < 0 ? 0 : machine->requester_cpu);
	file = fopen(path, "re");
	if (!file || !fgets(name, (int)size, file))
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, "performance") != 0;
}

const char *machine_warning(const struct machine *machine, size_t index)
{
	static char text[256];
	char governor[32];

	if (machine_shares_core(machine) && !index--)
		snprintf(text, sizeof text,
			"both sides share a core, so neither runs while the other does: %s",
			machine->allowed > 1 ? "give two CPUs of different cores with --pin"
					     : "allow this process a second CPU");
	else if (machine->requester_cpu < 0 && machine->allowed > 1 && !index--)
		snprintf(text, sizeof text,
			"not pinned: the system may put both sides on one core at any time; give "
			"two CPUs with --pin");
	else if (machine->load > machine->allowed * 0.5 && !index--)
		snprintf(text, sizeof text,
			"the load average is %.1f on %d CPUs: end other programs, or wait until "
			"they are done",
			machine->load, machine->allowed);
	else if (slow_governor(machine, governor, sizeof governor) && !index--)
		snprintf(text, sizeof text,
			"the CPU frequency governor is '%s': cpupower frequency-set -g performance",
			governor);
	else
		return NULL;
	return text;
}
