/** Plays lives away from the test runner's thread: takes seeds, gives back how each life went. */

import { type Life, playLife } from "./life.ts";

/** What the test is told of one seed. */
export type LifeReport =
  | { readonly life: Life }
  | { readonly seed: number; readonly failure: string };

/** The part of a worker's global scope that is used. */
interface Scope {
  onmessage: ((event: MessageEvent<number>) => void) | null;
  postMessage(report: LifeReport): void;
}

const scope = self as unknown as Scope;

scope.onmessage = ({ data: seed }) => {
  try {
    scope.postMessage({ life: playLife(seed) });
  } catch (error) {
    scope.postMessage({ seed, failure: error instanceof Error ? error.message : String(error) });
  }
};
