import { p256 } from "@noble/curves/nist.js";
import { Command } from "commander";
import fc from "fast-check";
import dp from "dns-packet";
import { cshake128, kmac128 } from "@noble/hashes/sha3-addons.js";
console.log(p256.Point.BASE.toHex().length, new Command().name, fc.__version, typeof dp.encode, typeof cshake128, typeof kmac128);
