import assert from "node:assert/strict";
import { parseJunit } from "../../tools/junit.ts";

/** As `deno test --junit-path` wrote it, shortened. */
const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="8" failures="3" errors="0" time="0.013">
    <testsuite name="./t_test.ts" tests="8" disabled="1" errors="0" failures="3">
        <testcase name="one &amp; &lt;two&gt;" classname="./t_test.ts" time="0.250" line="1" col="6">
        </testcase>
        <testcase name="fails &quot;q&quot;" classname="./t_test.ts" time="0.001" line="2" col="6">
            <failure message="Uncaught Error: x">Error: x</failure>
        </testcase>
        <testcase name="is skipped" classname="./t_test.ts" time="0.000" line="3" col="6">
            <skipped/>
        </testcase>
        <testcase name="I1 -&gt; R1 &gt; R2" classname="./t_test.ts" time="0.000" line="4" col="6">
        </testcase>
        <testcase name="has steps" classname="./t_test.ts" time="0.002" line="5" col="6">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
        <testcase name="has steps &gt; good step" classname="./t_test.ts" time="0.000" line="5" col="9">
        </testcase>
        <testcase name="has steps &gt; bad step" classname="./t_test.ts" time="0.000" line="6" col="9">
            <failure message="Uncaught Error: y">Error: y</failure>
        </testcase>
    </testsuite>
</testsuites>
`;

Deno.test("parseJunit() gives every test with title, outcome and time", () => {
  assert.deepEqual(parseJunit(REPORT).map((one) => [one.title, one.outcome, one.isStep]), [
    ["one & <two>", "passed", false],
    ['fails "q"', "failed", false],
    ["is skipped", "skipped", false],
    ["I1 -> R1 > R2", "passed", false],
    ["has steps", "failed", false],
    ["good step", "failed", true],
    ["bad step", "failed", true],
  ]);
  assert.equal(parseJunit(REPORT)[0]!.seconds, 0.25);
  assert.equal(parseJunit(REPORT)[0]!.file, "./t_test.ts");
});

Deno.test("parseJunit() finds no tests in a report without any", () => {
  assert.deepEqual(parseJunit('<testsuites name="deno test" tests="0"></testsuites>'), []);
});
