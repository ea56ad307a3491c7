/** A data thread of `lib/runtime/data_threads.ts`: packets between the TUN device and the sockets. */

import { LINUX_DATA_PLATFORM } from "./ffi/data_platform.ts";
import { serveData } from "./lib/runtime/data_service.ts";

serveData(LINUX_DATA_PLATFORM);
