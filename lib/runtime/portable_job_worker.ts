/** The other side of `job_runner.ts` where the system's libcrypto is not used. */

import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import { serveLane } from "./job_lane.ts";

serveLane(() => PORTABLE_PUBLIC_KEYS);
