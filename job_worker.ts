/**
 * A worker of `lib/runtime/job_runner.ts` that uses the system's libcrypto where it is there. A
 * library that gives a wrong answer keeps it from loading, and so the program from starting.
 */

import { openLibcryptoDigest } from "./ffi/libcrypto_digest.ts";
import { openLibcryptoPublicKeys } from "./ffi/libcrypto_public_keys.ts";
import { PORTABLE_PUBLIC_KEYS } from "./lib/crypto/portable_public_keys.ts";
import { serveLane } from "./lib/runtime/job_lane.ts";

serveLane(() => openLibcryptoPublicKeys() ?? PORTABLE_PUBLIC_KEYS, openLibcryptoDigest);
