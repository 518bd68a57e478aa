/* A stand-in for the CUDA driver on a machine without a card: the functions that pyhisto/devices/driver.py calls, with
 * cuda.h's signatures, for STAND_IN_CARDS cards (or the error STAND_IN_ERROR). Compiled by the fixture `stand_in` (conftest.py). */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

static int number(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }

int cuInit(unsigned flags) { return flags ? 1 : number("STAND_IN_ERROR"); }
int cuGetErrorString(int error, const char **text) {
  *text = error == 100 ? "no CUDA-capable device is detected" : NULL;
  return 0;
}
int cuDeviceGetCount(int *count) { *count = number("STAND_IN_CARDS"); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 40 + ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
  snprintf(name, length, "Stand-in %d", device - 40);
  return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 6 : attribute == 76 ? 1 : -1;
  return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)11 << 30; return 0; }
int cuDeviceGetUuid(unsigned char *uuid, int device) { memset(uuid, device, 16); return 0; }
