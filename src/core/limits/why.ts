/** Which limits let a job not pass, said for people. */
import { humanDuration } from "../duration.js";
import type { Why } from "../explain.js";
import type { LimitUse } from "./use.js";

/** `hosts`: machines whose workers could run it. What is full on one of them is no reason while there is room on another one. */
export function limitedBy(uses: readonly LimitUse[], hosts: readonly string[]): Why[] {
  const ofAll = uses.filter(({ host }) => host === null);
  const ofMachines = uses.filter(({ host }) => host !== null && hosts.includes(host));
  const full = new Set(ofMachines.filter(isFull).map(({ host }) => host));
  const everywhere = hosts.length > 0 && hosts.every((host) => full.has(host));
  return [
    ...ofAll.flatMap((use) => [...(isFull(use) ? [fullWhy(use)] : []), ...tokenWhy(use)]),
    ...(everywhere ? ofMachines.filter(isFull).map(fullWhy) : []),
  ];
}

function isFull({ running }: LimitUse): boolean {
  return running !== null && running.held >= running.most;
}

function fullWhy({ scope, name, host, running }: LimitUse): Why {
  const where = host === null ? "" : ` by workers on ${host}`;
  const { most, held } = running!;
  return {
    code: "limited",
    says: `As many jobs ${ofWhat(scope, name)} as may run at once${host === null ? "" : " on one machine"} are held${where}: ${held} of ${most}.`,
    advice: "It starts when one of them has ended. To have more at once, raise the limit.",
  };
}

function* tokenWhy({ scope, name, rate }: LimitUse): Generator<Why> {
  if (rate === null || rate.nextInMs === 0) return;
  const per = `${rate.tokens} in ${humanDuration(rate.perMs)}`;
  yield {
    code: "limited",
    says: `As many jobs ${ofWhat(scope, name)} as may begin (${per}) have begun; the next one may in ${humanDuration(rate.nextInMs)}.`,
    advice: "Wait, or raise the rate.",
  };
}

function ofWhat(scope: LimitUse["scope"], name: string): string {
  return scope === "key" ? `with the key ${JSON.stringify(name)}` : `of the ${scope} ${name}`;
}
