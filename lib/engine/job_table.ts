/** Jobs under way: whose result each number stands for, and which still have to be handed out. */

import { bytesEqual } from "../base/bytes.ts";
import { Queue } from "../base/queue.ts";
import type { AddressPair, AssociationHandle } from "../hip/association_context.ts";
import type {
  AcceptI2Job,
  BuildR1Job,
  ForgetKeyJob,
  GenerateIdentityJob,
  Job,
  SignPacketJob,
} from "../hip/jobs.ts";
import type { PendingI2 } from "../hip/responder_desk.ts";
import type { AnonymousPeer } from "./anonymous_identities.ts";
import type { JobRequest } from "./effects.ts";

/** Who waits for a job's result. */
export type JobOwner =
  | { readonly kind: "association"; readonly association: AssociationHandle; readonly job: Job }
  | { readonly kind: "notify"; readonly addresses: AddressPair; readonly job: SignPacketJob }
  | { readonly kind: "pool"; readonly localHit: Uint8Array; readonly job: BuildR1Job }
  | { readonly kind: "i2"; readonly pending: PendingI2; readonly job: AcceptI2Job }
  | { readonly kind: "identity"; readonly peer: AnonymousPeer; readonly job: GenerateIdentityJob }
  | { readonly kind: "forget"; readonly job: ForgetKeyJob };

export class JobTable {
  readonly #owners = new Map<number, JobOwner>();
  readonly #requests = new Queue<JobRequest>();
  #nextId = 1;

  /** Jobs whose result is awaited. */
  get size(): number {
    return this.#owners.size;
  }

  /** Queues a job. @returns Its number. */
  submit(owner: JobOwner): number {
    const id = this.#nextId++;
    this.#owners.set(id, owner);
    this.#requests.push({ id, job: owner.job });
    return id;
  }

  /** Whether a job under way has this identity, or belongs to an association under it. */
  needs(localHit: Uint8Array): boolean {
    for (const owner of this.#owners.values()) {
      const hit = owner.kind === "association"
        ? owner.association.localHit
        : "identity" in owner.job
        ? owner.job.identity.hit
        : undefined;
      if (hit !== undefined && bytesEqual(hit, localHit)) return true;
    }
    return false;
  }

  /** The next job to hand out. */
  poll(): JobRequest | undefined {
    return this.#requests.shift();
  }

  /** Who waits for this result, once; undefined for a number that nobody waits for. */
  finish(id: number): JobOwner | undefined {
    const owner = this.#owners.get(id);
    this.#owners.delete(id);
    return owner;
  }
}
