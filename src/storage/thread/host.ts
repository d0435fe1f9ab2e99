/** The thread's entry: opens the database, does what it is asked, in order, and answers. */
import { parentPort, workerData } from "node:worker_threads";
import { sharedClock } from "../clock.js";
import type { Driver, Heartbeat, HeartbeatOutcome, KeepAlive } from "../driver.js";
import { openDatabase } from "../open.js";
import { standStill } from "./exit.js";
import { Keeper } from "./keeper.js";
import { pack, unpack } from "./rows.js";
import { OPENING, OPTIONAL, packError, type Birth, type Message, type Request } from "./wire.js";

const { database, clock, pulse, exit } = workerData as Birth;
const say = (message: Message): void => parentPort!.postMessage(message);

class Host {
  private readonly keeper: Keeper;
  private readonly pending = new Set<Promise<void>>();
  private unsubscribe: () => void = () => undefined;

  constructor(private readonly driver: Driver) {
    this.keeper = new Keeper(driver, pulse);
  }

  /** It is begun before the next request is looked at: that keeps their order. */
  take(request: Request): void {
    const answered = this.answer(request).finally(() => this.pending.delete(answered));
    this.pending.add(answered);
  }

  private async answer({ id, operation, values }: Request): Promise<void> {
    try {
      say({ id, value: pack(await this.perform(operation, values.map(unpack))) });
    } catch (error) {
      say({ id, error: packError(error) });
    }
  }

  private perform(operation: Request["operation"], values: readonly unknown[]): unknown {
    switch (operation) {
      case "close":
        return this.close();
      case "subscribe":
        return this.subscribe(values[0] === true);
      case "keepAlive":
        return this.keeper.keep(values[0] as string, values[1] as KeepAlive);
      case "heartbeat":
        return this.heartbeat(values[0] as Heartbeat);
      case "closeSession":
        return this.closeSession(values[0] as string);
      default:
        return (this.driver[operation] as (...values: readonly unknown[]) => unknown)(...values);
    }
  }

  private async heartbeat(beat: Heartbeat): Promise<HeartbeatOutcome> {
    const outcome = await this.driver.heartbeat(beat);
    this.keeper.beaten(beat.session, outcome.alive);
    return outcome;
  }

  /** Kept alive no more, also when it still holds something: then its reaper is to come. */
  private closeSession(session: string): Promise<boolean> {
    this.keeper.forget(session);
    return this.driver.closeSession(session);
  }

  private subscribe(on: boolean): void {
    this.unsubscribe();
    this.unsubscribe = (on && this.driver.subscribe?.(() => say("changed"))) || (() => undefined);
    // What was written while the request was on its way is seen by nobody else.
    if (on) say("changed");
  }

  /** After what was asked for before. The thread itself is ended from outside. */
  private async close(): Promise<void> {
    await Promise.all(this.pending);
    this.keeper.stop();
    this.unsubscribe();
    await this.driver.close();
  }
}

const plain = { ...database, thread: false };
const opening = openDatabase(clock === null ? plain : { ...plain, clock: sharedClock(clock) });
const host = opening.then(
  (driver) => new Host(driver),
  () => null,
);

// From the start, also while the database is being opened.
parentPort!.on("message", (request: Request | "exit") => {
  if (request === "exit") standStill(exit);
  else void host.then((open) => open?.take(request));
});

try {
  const driver = await opening;
  const { label, capabilities } = driver;
  const optional = OPTIONAL.filter((operation) => driver[operation] !== undefined);
  say({ id: OPENING, value: { label, capabilities, optional } });
} catch (error) {
  say({ id: OPENING, error: packError(error) });
  parentPort!.close();
}
