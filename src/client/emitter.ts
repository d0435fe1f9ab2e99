/** Listeners of a Qudo and of the process (`diagnostics_channel`), and how they are told. Silence costs a look into a map. */
import { channel, type Channel } from "node:diagnostics_channel";
import { InvalidInputError } from "../core/errors.js";
import { EVENT_NAMES, type Emit, type EventName, type QudoEvents } from "../core/events.js";
import { show } from "../core/options.js";

/** A function that is called with what an event carries. */
export type Listener<Name extends EventName> = (event: QudoEvents[Name]) => unknown;

interface Entry {
  readonly listener: Listener<never>;
  readonly once: boolean;
  /** When it was last complained about. */
  warnedAt: number;
}

/** A listener that fails at every one of 30,000 jobs a second must not bury the process in warnings. */
const ONE_WARNING_PER_MS = 30_000;

export class Emitter {
  /** Replaced when it changes, so that a round of telling is not disturbed. */
  private readonly entries = new Map<EventName, readonly Entry[]>();
  /** "qudo:done" and so on: all Qudos of a process share them. */
  private readonly channels = new Map<EventName, Channel>(
    EVENT_NAMES.map((name) => [name, channel(`qudo:${name}`)]),
  );

  readonly emit: Emit = Object.assign(
    <Name extends EventName>(name: Name, make: () => QudoEvents[Name]): void => {
      if (this.listening(name)) this.tell(name, make());
    },
    { listening: (name: EventName): boolean => this.listening(name) },
  );

  on<Name extends EventName>(name: Name, listener: Listener<Name>, once = false): void {
    checkName(name);
    if (typeof listener !== "function")
      throw new InvalidInputError(
        "QUDO_INVALID_OPTION",
        `A listener of "${name}" is a function, not ${show(listener)}.`,
      );
    const entry = { listener, once, warnedAt: Number.NEGATIVE_INFINITY };
    this.entries.set(name, [...(this.entries.get(name) ?? []), entry]);
  }

  /** The one that was added last, if it was added several times. */
  off<Name extends EventName>(name: Name, listener: Listener<Name>): void {
    checkName(name);
    const entries = this.entries.get(name) ?? [];
    const at = entries.findLastIndex((entry) => entry.listener === listener);
    if (at >= 0) this.replace(name, entries.toSpliced(at, 1));
  }

  private listening(name: EventName): boolean {
    return this.entries.has(name) || this.channels.get(name)!.hasSubscribers;
  }

  private tell<Name extends EventName>(name: Name, event: QudoEvents[Name]): void {
    const entries = this.entries.get(name) ?? [];
    if (entries.some(({ once }) => once))
      this.replace(
        name,
        entries.filter(({ once }) => !once),
      );
    for (const entry of entries) call(name, entry, event);
    this.channels.get(name)!.publish(event);
  }

  private replace(name: EventName, entries: readonly Entry[]): void {
    if (entries.length === 0) this.entries.delete(name);
    else this.entries.set(name, entries);
  }
}

/** Whatever a listener does, the queue goes on; at most one warning in 30 s tells of it. */
function call<Name extends EventName>(name: Name, entry: Entry, event: QudoEvents[Name]): void {
  const failed = (error: unknown): void => {
    const now = performance.now();
    if (now - entry.warnedAt < ONE_WARNING_PER_MS) return;
    entry.warnedAt = now;
    process.emitWarning(`A listener of "${name}" failed: ${message(error)}`, "QudoWarning");
  };
  try {
    const answer = (entry.listener as Listener<Name>)(event);
    if (answer instanceof Promise) answer.catch(failed);
  } catch (error) {
    failed(error);
  }
}

function message(error: unknown): string {
  try {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } catch {
    return "an error that cannot be shown";
  }
}

function checkName(name: unknown): void {
  if (!EVENT_NAMES.includes(name as EventName))
    throw new InvalidInputError(
      "QUDO_INVALID_OPTION",
      `There is no event ${show(name)}. There are: ${EVENT_NAMES.join(", ")}.`,
    );
}
