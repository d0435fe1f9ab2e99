/** How somebody ends what goes on until told: q, Ctrl-C, SIGTERM, or by reading no further. */

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

/** Its signal is aborted as soon as somebody has had enough; disposed of, keys mean again what they meant. */
export class Quit implements Disposable {
  private readonly controller = new AbortController();
  private readonly stops: (() => void)[] = [];

  /** `keys`: read from the terminal, if stdin is one. */
  constructor(keys: boolean) {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) this.on(process, name);
    // `| head` has seen enough.
    this.on(process.stdout, "error");
    if (keys && process.stdin.isTTY) this.readKeys(process.stdin);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  [Symbol.dispose](): void {
    for (const stop of this.stops.splice(0)) stop();
  }

  private readonly quit = (): void => this.controller.abort();

  private on(emitter: NodeJS.EventEmitter, event: string): void {
    emitter.on(event, this.quit);
    this.stops.push(() => void emitter.off(event, this.quit));
  }

  /** Key by key, and without showing them. */
  private readKeys(stdin: NodeJS.ReadStream): void {
    const heard = (data: Buffer): void => {
      const text = data.toString();
      if (["q", "Q", CTRL_C, CTRL_D].some((key) => text.includes(key))) this.quit();
    };
    stdin.setRawMode(true);
    stdin.on("data", heard);
    this.stops.push(() => {
      stdin.off("data", heard);
      stdin.setRawMode(false);
      stdin.pause();
    });
  }
}
