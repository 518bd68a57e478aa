"""Ask the CUDA driver which cards there are. A program of its own, which prints JSON; see `cards.find_cards`.

The driver is asked, and not nvidia-smi: its numbers are those that Caffe's --gpu takes, with CUDA_VISIBLE_DEVICES and
CUDA_DEVICE_ORDER applied, and it is there in every container that can compute at all. In a process of its own, because
the driver reads these variables once in a process, and because a process that has used it cannot fork any more.

The numbers are those of cuda.h, unchanged since CUDA 5; the functions are there since CUDA 9.2 (for the UUID).
"""

import ctypes
import json
from typing import Any

MAJOR, MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


class DriverError(Exception):
    """The driver refused."""


def ask() -> list[dict[str, Any]]:
    """A dict for every card: number, name, capability, memory (bytes), uuid. Raises DriverError with the reason."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise DriverError("there is no NVIDIA driver (libcuda.so.1)") from None

    def call(function: str, *arguments: Any) -> None:
        code = getattr(driver, function)(*arguments)
        if code:
            text = ctypes.c_char_p()
            driver.cuGetErrorString(code, ctypes.byref(text))
            raise DriverError(f"the NVIDIA driver says: {(text.value or b'unknown error').decode()} ({code})")

    call("cuInit", 0)
    count = ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    # Of the parts of one card (MIG), the second form alone tells which is which; it is there since CUDA 11.4.
    uuid_of = "cuDeviceGetUuid_v2" if hasattr(driver, "cuDeviceGetUuid_v2") else "cuDeviceGetUuid"
    cards = []
    for number in range(count.value):
        device, major, minor, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
        name, uuid = ctypes.create_string_buffer(256), (ctypes.c_ubyte * 16)()
        call("cuDeviceGet", ctypes.byref(device), number)
        call("cuDeviceGetName", name, len(name), device)
        call("cuDeviceGetAttribute", ctypes.byref(major), MAJOR, device)
        call("cuDeviceGetAttribute", ctypes.byref(minor), MINOR, device)
        call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        call(uuid_of, ctypes.byref(uuid), device)
        cards.append(
            {
                "number": number,
                "name": name.value.decode(errors="replace"),
                "capability": [major.value, minor.value],
                "memory": memory.value,
                "uuid": bytes(uuid).hex(),
            }
        )
    return cards


if __name__ == "__main__":
    try:
        print(json.dumps({"cards": ask()}))
    except DriverError as error:
        print(json.dumps({"cards": [], "reason": str(error)}))
