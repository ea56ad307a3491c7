import assert from "node:assert/strict";
import type { Outcome, TestResult } from "../../tools/junit.ts";
import { judgeRun, parsePlan } from "../../tools/run_tests.ts";
import { countTests, formatTotals, readResults, storeResults } from "../../tools/test_results.ts";

function result(outcome: Outcome, isStep = false, title = "a test"): TestResult {
  return { file: "t_test.ts", name: title, title, isStep, outcome, seconds: 0 };
}

Deno.test("the last line names what passed and failed, and what was skipped only if something was", () => {
  assert.equal(formatTotals({ passed: 12, failed: 0, skipped: 0 }), "12 passed, 0 failed");
  assert.equal(formatTotals({ passed: 1, failed: 2, skipped: 3 }), "1 passed, 2 failed, 3 skipped");
});

Deno.test("countTests() counts tests and not their steps", () => {
  const results = [result("passed"), result("passed", true), result("failed"), result("skipped")];
  assert.deepEqual(countTests(results), { passed: 1, failed: 1, skipped: 1 });
});

Deno.test("a run that ends badly without a failed test counts as one failed test", () => {
  assert.deepEqual(judgeRun([result("passed")], 1), { passed: 1, failed: 1, skipped: 0 });
  assert.deepEqual(judgeRun([], undefined), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(judgeRun([result("failed")], 1), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(judgeRun([result("passed")], 0), { passed: 1, failed: 0, skipped: 0 });
});

Deno.test("parsePlan() tells stages, paths and options apart and refuses the rest", () => {
  assert.deepEqual(
    parsePlan(["fmt", "unit", "tests/wire", "--filter", "I1", "--failed=no tshark"]),
    { stages: ["fmt", "unit"], paths: ["tests/wire"], filter: "I1", failedBefore: ["no tshark"] },
  );
  assert.throws(() => parsePlan(["units"]), SyntaxError);
});

Deno.test("a stage that runs again replaces its own results and leaves those of others", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/dist/results.json`;
    assert.equal(await readResults(path), undefined);
    await storeResults("unit", [result("failed")], path);
    await storeResults("system", [result("skipped")], path);
    await storeResults("unit", [result("passed")], path);
    assert.deepEqual(await readResults(path), {
      unit: [result("passed")],
      system: [result("skipped")],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
