/**
 * A TCP proxy before a database server, which does to its clients what networks do: it refuses, resets, falls silent, is slow, and
 * cuts a connection just before a COMMIT, right behind it, or between it and its answer.
 *
 *     await using proxy = await startProxy(server.url);
 *     const qudo = new Qudo({ databases: proxy.through(place.url) });
 *     proxy.onCommit = () => "answered";   // the server has committed, and nobody hears of it
 *     proxy.weather = "silent";            // bytes stay on the way; they arrive when it is fair again
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { freePort } from "./kept.js";
import { wireOf, type Message, type Splitter, type Wire } from "./wire.js";

/**
 * Where a connection is cut. "before": the server never sees the COMMIT. "sent": right behind it, so that nobody can know. "answered":
 * the server has committed and said so, which the client does not hear.
 */
export type Cut = "before" | "sent" | "answered";

/**
 * "refusing": nobody listens, what is open is reset. "silent": a black hole; connections open and nothing passes, and what was on its
 * way arrives late, also from those who have given up meanwhile, as after retransmission.
 */
export type Weather = "fair" | "refusing" | "silent";

export interface Proxy extends AsyncDisposable {
  /** An address of the server behind it, by way of the proxy. */
  through(url: string): string;
  weather: Weather;
  /** Milliseconds that everything takes in each direction. Default 0. */
  delayMs: number;
  /** Asked at each COMMIT whether, and where, its connection is cut. */
  onCommit: (() => Cut | null) | null;
  /** So often it has cut at a COMMIT. */
  readonly cuts: number;
  /** When clients came, by `performance.now()`; those that were refused are known to themselves only. */
  readonly arrivals: readonly number[];
  /** Connections that are open now. */
  readonly open: number;
  /** Resets all that are open. */
  reset(): void;
  close(): Promise<void>;
}

/** @param url any address of the server */
export async function startProxy(url: string): Promise<Proxy> {
  const proxy = new TcpProxy(url, await freePort());
  await proxy.listen();
  return proxy;
}

class TcpProxy implements Proxy {
  delayMs = 0;
  onCommit: Proxy["onCommit"] = null;
  cuts = 0;
  readonly arrivals: number[] = [];
  private now: Weather = "fair";
  private readonly links = new Set<Link>();
  private readonly wire: Wire;
  private readonly target: { readonly host: string; readonly port: number };
  private server = this.newServer();

  constructor(
    url: string,
    private readonly port: number,
  ) {
    const { hostname, port: to } = new URL(url);
    this.wire = wireOf(url);
    this.target = { host: hostname, port: Number(to) };
  }

  private newServer() {
    return createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.arrived(client));
  }

  async listen(): Promise<void> {
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
  }

  through(url: string): string {
    const address = new URL(url);
    address.hostname = "127.0.0.1";
    address.port = String((this.server.address() as AddressInfo | null)?.port ?? this.port);
    return address.href;
  }

  get weather(): Weather {
    return this.now;
  }

  set weather(weather: Weather) {
    const before = this.now;
    this.now = weather;
    if (weather === "refusing") {
      this.server.close();
      this.reset();
    } else if (before === "refusing") {
      this.server = this.newServer();
      this.server.listen(this.port, "127.0.0.1");
    }
    if (weather === "fair") for (const link of this.links) link.flow();
  }

  get open(): number {
    return this.links.size;
  }

  reset(): void {
    for (const link of this.links) link.cut();
  }

  async close(): Promise<void> {
    const closed = this.server.listening ? once(this.server, "close") : undefined;
    this.server.close();
    this.reset();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private arrived(client: Socket): void {
    this.arrivals.push(performance.now());
    const link = new Link(client, connect({ ...this.target, allowHalfOpen: true, noDelay: true }), {
      wire: this.wire,
      // Nothing is sent to the server before it is fair, not even that somebody is there.
      held: () => this.now === "silent",
      delayMs: () => this.delayMs,
      cutNow: () => {
        const cut = this.onCommit?.() ?? null;
        if (cut !== null) this.cuts++;
        return cut;
      },
      gone: () => this.links.delete(link),
    });
    this.links.add(link);
  }
}

interface LinkOf {
  readonly wire: Wire;
  held(): boolean;
  delayMs(): number;
  cutNow(): Cut | null;
  gone(): void;
}

/** One client, and its connection to the server. */
class Link {
  private readonly up: Lane;
  private readonly down: Lane;
  /** The COMMIT is on its way, and the client is not to hear of its answer. */
  private muted = false;

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    private readonly of: LinkOf,
  ) {
    this.up = new Lane(server, of, of.wire.fromClient(), (message) => this.fromClient(message));
    this.down = new Lane(client, of, of.wire.fromServer(), (message) => this.fromServer(message));
    this.carry(client, this.up);
    this.carry(server, this.down);
  }

  flow(): void {
    this.up.flow();
    this.down.flow();
  }

  /** Both ends learn it at once, and nothing more of what was under way. */
  cut(): void {
    this.up.stop();
    this.down.stop();
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
    this.of.gone();
  }

  private carry(source: Socket, lane: Lane): void {
    source.on("data", (bytes: Buffer) => lane.push(bytes));
    source.on("end", () => lane.push(null));
    // In silence nobody hears that the other side is gone, either.
    source.on("error", () => lane.push(null));
    source.on("close", () => {
      lane.push(null);
      if (this.client.destroyed && this.server.destroyed) this.of.gone();
    });
  }

  /** Whether it is passed on. */
  private fromClient({ commits }: Message): boolean {
    if (!commits) return true;
    const cut = this.of.cutNow();
    if (cut === "before") this.cut();
    if (cut === "sent") setImmediate(() => this.cut());
    if (cut === "answered") this.muted = true;
    return cut !== "before";
  }

  private fromServer({ answers }: Message): boolean {
    if (this.muted && answers) this.cut();
    return !this.muted;
  }
}

/** One direction of a link: what comes first arrives first. */
class Lane {
  private queue: { readonly at: number; readonly bytes: Buffer | null }[] = [];
  private ended = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly target: Socket,
    private readonly of: LinkOf,
    private readonly splitter: Splitter,
    private readonly passes: (message: Message) => boolean,
  ) {}

  /** Null: the end. */
  push(bytes: Buffer | null): void {
    if (this.ended) return;
    this.ended = bytes === null;
    this.queue.push({ at: performance.now() + this.of.delayMs(), bytes });
    this.flow();
  }

  flow(): void {
    clearTimeout(this.timer);
    while (this.queue.length > 0 && !this.of.held()) {
      const { at, bytes } = this.queue[0]!;
      const left = at - performance.now();
      if (left > 0) {
        this.timer = setTimeout(() => this.flow(), left);
        return;
      }
      this.queue.shift();
      this.arrive(bytes);
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    this.queue = [];
    this.ended = true;
  }

  private arrive(bytes: Buffer | null): void {
    if (this.target.destroyed) return;
    if (bytes === null) return void this.target.end();
    for (const message of this.splitter.take(bytes))
      if (this.passes(message) && !this.target.destroyed) this.target.write(message.bytes);
  }
}
