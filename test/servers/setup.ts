/** Before the tests: opens the broker of their servers. After them: ends the servers, and says what was left out. */
import { openBroker } from "./broker.js";

const DONE = "QUDO_TESTS_HAVE_SERVERS";

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  // Each project asks for it.
  if (process.env[DONE] !== undefined) return undefined;
  process.env[DONE] = "yes";
  const { leftOut, close } = await openBroker();
  return async () => {
    await close();
    if (leftOut.size > 0) console.log(message([...leftOut]));
  };
}

function message(leftOut: readonly string[]): string {
  const lines = leftOut.toSorted().map((one) => `  ${one}`);
  return [
    "",
    "LEFT OUT, because this machine lacks what they need, were tests on:",
    ...lines,
    "",
  ].join("\n");
}
