/** An Emit for tests: told to whoever wants it, and nothing is made of what nobody asked for. */
import type { Emit, EventName, QudoEvents } from "../../src/core/events.js";

export function listening(
  names: readonly EventName[],
  hear: (name: EventName, event: QudoEvents[EventName]) => void,
): Emit {
  const emit = <Name extends EventName>(name: Name, make: () => QudoEvents[Name]): void => {
    if (!names.includes(name)) throw new Error(`nobody listens to ${name}`);
    hear(name, make());
  };
  return Object.assign(emit, { listening: (name: EventName) => names.includes(name) });
}
