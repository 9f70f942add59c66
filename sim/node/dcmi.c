/* SPDX-License-Identifier: Apache-2.0
 * libdcmi.so of a simulated node, which other programs ask where npu-smi is not at hand: the functions of the "Ascend 910B
 * DCMI API reference" (docs/zh of Huawei's open-source driver) that they ask. Each card has one chip, number 0; its logical
 * and physical number are the card's. What npu-smi and hccn_tool say of a card is said here, too. Hardware: node.conf. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF "/etc/ascend-sim/node.conf"
#define HCCN_CONF "/etc/hccn.conf"
#define INVALID_PARAMETER (-8001)
#define INNER_ERROR (-8005)
#define INVALID_DEVICE_ID (-8007)
#define CONFIG_INFO_NOT_EXIST (-8023)
#define NOT_SUPPORT (-8255)
#define ROCE_PORT 1
#define UTILIZATION_KINDS 14

struct chip_info {
  char type[32], name[32], version[32];
  unsigned int aicore_count;
  char npu_name[32];
};
struct hbm_info {
  unsigned long long total_mb;
  unsigned int frequency_mhz;
  unsigned long long used_mb;
  int temperature_c;
  unsigned int bandwidth_percent;
};
struct pcie_info {
  unsigned int vendor, subvendor, device, subdevice;
  int domain;
  unsigned int bus, slot, function;
  char reserved[32];
};
struct die_id {
  unsigned int words[5];
};
struct ip_address {
  unsigned char bytes[16];
  unsigned int is_v6;
};

/* Where a server of eight cards has them, as in npu-smi. */
static const unsigned int BUSES[] = {0xC1, 0xC2, 0x81, 0x82, 0x01, 0x02, 0x41, 0x42};

static const char *from(const char *path, const char *key, const char *otherwise) {
  static _Thread_local char line[256];
  size_t length = strlen(key);
  FILE *file = fopen(path, "r");
  const char *value = otherwise;
  while (file && fgets(line, sizeof line, file)) {
    if (strncmp(line, key, length) == 0 && line[length] == '=') {
      line[strcspn(line, "\n")] = 0;
      value = line + length + 1;
      break;
    }
  }
  if (file) fclose(file);
  return value;
}

static const char *setting(const char *key, const char *otherwise) { return from(CONF, key, otherwise); }

static int cards(void) { return atoi(setting("card_count", "8")); }

static int is_chip(int card, int chip) { return card >= 0 && card < cards() && chip == 0; }

int dcmi_init(void) {
  const char *mode = setting("npu_smi", "ok");
  if (strcmp(mode, "hang") == 0) sleep(86400);
  if (strncmp(mode, "fail:", 5) != 0) return 0;
  const char *code = strstr(mode, "-8");
  return code ? atoi(code) : INNER_ERROR;
}

int dcmi_get_driver_version(char *version, unsigned int length) {
  return snprintf(version, length, "%s", setting("driver_version", "24.1.rc1")) < (int)length ? 0 : INVALID_PARAMETER;
}

int dcmi_get_card_list(int *count, int *list, int length) {
  *count = cards();
  if (*count > length) return INVALID_PARAMETER;
  for (int card = 0; card < *count; card++) list[card] = card;
  return 0;
}

int dcmi_get_device_num_in_card(int card, int *count) {
  *count = 1;
  return is_chip(card, 0) ? 0 : INVALID_DEVICE_ID;
}

int dcmi_get_device_type(int card, int chip, unsigned int *type) {
  *type = 0; /* an Ascend chip, not its MCU */
  return is_chip(card, chip) ? 0 : INVALID_DEVICE_ID;
}

int dcmi_get_device_logic_id(int *number, int card, int chip) {
  *number = card;
  return is_chip(card, chip) ? 0 : INVALID_DEVICE_ID;
}

int dcmi_get_device_phyid_from_logicid(unsigned int logical, unsigned int *physical) {
  *physical = logical;
  return is_chip((int)logical, 0) ? 0 : INVALID_DEVICE_ID;
}

int dcmi_get_device_chip_info_v2(int card, int chip, struct chip_info *info) {
  if (!is_chip(card, chip)) return INVALID_DEVICE_ID;
  memset(info, 0, sizeof *info);
  strcpy(info->type, "Ascend");
  snprintf(info->name, sizeof info->name, "%s", setting("chip_name", "910B3"));
  strcpy(info->version, "V1");
  info->aicore_count = 20;
  strcpy(info->npu_name, info->name);
  return 0;
}

/* process.<card>=pid:name:memory_mb, several separated by commas */
static unsigned long long of_processes(int card) {
  char key[32];
  unsigned long long sum = 0;
  snprintf(key, sizeof key, "process.%d", card);
  for (const char *entry = setting(key, ""); *entry; entry += strcspn(entry, ","), entry += *entry == ',') {
    size_t end = strcspn(entry, ",");
    while (end && entry[end - 1] != ':') end--;
    sum += strtoull(entry + end, NULL, 10);
  }
  return sum;
}

int dcmi_get_device_hbm_info(int card, int chip, struct hbm_info *info) {
  if (!is_chip(card, chip)) return INVALID_DEVICE_ID;
  memset(info, 0, sizeof *info);
  info->total_mb = strtoull(setting("hbm_total_mb", "65536"), NULL, 10);
  info->frequency_mhz = 1600;
  info->used_mb = 3300 + (unsigned long long)card + of_processes(card);
  info->temperature_c = 37 + card;
  return 0;
}

int dcmi_get_device_pcie_info_v2(int card, int chip, struct pcie_info *info) {
  if (!is_chip(card, chip)) return INVALID_DEVICE_ID;
  memset(info, 0, sizeof *info);
  info->vendor = 0x19E5;
  info->device = 0xD802;
  info->bus = BUSES[card % 8];
  return 0;
}

int dcmi_get_device_die_v2(int card, int chip, int kind, struct die_id *die) {
  (void)kind;
  if (!is_chip(card, chip)) return INVALID_DEVICE_ID;
  char host[65] = "";
  unsigned int sum = 5381;
  gethostname(host, sizeof host - 1);
  for (const char *letter = host; *letter; letter++) sum = sum * 33 + (unsigned char)*letter;
  *die = (struct die_id){{sum, (unsigned int)card, 0, 0, 0}};
  return 0;
}

int dcmi_get_device_temperature(int card, int chip, int *temperature_c) {
  *temperature_c = 38 + card;
  return is_chip(card, chip) ? 0 : INVALID_DEVICE_ID;
}

int dcmi_get_device_power_info(int card, int chip, int *tenths_of_w) {
  *tenths_of_w = 930 + 5 * card;
  return is_chip(card, chip) ? 0 : INVALID_DEVICE_ID;
}

int dcmi_get_device_utilization_rate(int card, int chip, int kind, unsigned int *percent) {
  *percent = 0;
  if (!is_chip(card, chip)) return INVALID_DEVICE_ID;
  return kind > 0 && kind < UTILIZATION_KINDS ? 0 : INVALID_PARAMETER;
}

/* The card's setting, else what /etc/hccn.conf has: as hccn_tool. */
static int address(const char *name, int card, int port, struct ip_address *result) {
  char key[32];
  memset(result, 0, sizeof *result);
  if (!is_chip(card, 0)) return INVALID_DEVICE_ID;
  if (port != ROCE_PORT || strncmp(setting("chip_name", "910B3"), "310", 3) == 0) return NOT_SUPPORT;
  snprintf(key, sizeof key, "net_%s.%d", name, card);
  const char *text = setting(key, "");
  if (!*text) {
    snprintf(key, sizeof key, "%s_%d", name, card);
    text = from(HCCN_CONF, key, "");
  }
  return inet_pton(AF_INET, text, result->bytes) == 1 ? 0 : CONFIG_INFO_NOT_EXIST;
}

int dcmi_get_device_ip(int card, int chip, int port, int number, struct ip_address *ip, struct ip_address *mask) {
  (void)chip, (void)number;
  int code = address("address", card, port, ip);
  return code ? code : address("netmask", card, port, mask);
}

int dcmi_get_device_gateway(int card, int chip, int port, int number, struct ip_address *gateway) {
  (void)chip, (void)number;
  return address("gateway", card, port, gateway);
}
