/** Whether a program is there: tests that need one are passed over without it. */
export async function isCommand(name: string): Promise<boolean> {
  const command = new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" });
  return (await command.output()).success;
}
