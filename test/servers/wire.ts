/** As much of the servers' protocols as it takes to see a COMMIT go by, and its answer come back. Without TLS and compression. */

/** One direction of one connection: bytes go in, whole messages come out; what is not whole yet waits for the rest. */
export interface Splitter {
  take(bytes: Buffer): Message[];
}

export interface Message {
  readonly bytes: Buffer;
  /** From the client: it is a COMMIT. */
  readonly commits: boolean;
  /** From the server: it says what became of a statement. */
  readonly answers: boolean;
}

export interface Wire {
  fromClient(): Splitter;
  fromServer(): Splitter;
}

/** By the scheme of the server's address. */
export function wireOf(url: string): Wire {
  return url.startsWith("postgres") ? POSTGRES : MYSQL;
}

const COMMIT = /^commit;?\0?$/i;

/** A type of one byte, then the length of what follows, itself included. The client's first message has no type. */
const POSTGRES: Wire = {
  fromClient() {
    let begun = false;
    return splitter({
      lengthAt: (bytes) => {
        const from = begun ? 1 : 0;
        if (bytes.length < from + 4) return null;
        return from + bytes.readUInt32BE(from);
      },
      read: (bytes) => {
        const commits = begun && isPostgresCommit(bytes);
        begun = true;
        return { commits, answers: false };
      },
    });
  },
  fromServer: () =>
    splitter({
      lengthAt: (bytes) => (bytes.length < 5 ? null : 1 + bytes.readUInt32BE(1)),
      // CommandComplete, or ErrorResponse.
      read: (bytes) => ({ commits: false, answers: bytes[0] === 0x43 || bytes[0] === 0x45 }),
    }),
};

/** Query: the text. Parse: the name of the statement, then the text. */
function isPostgresCommit(bytes: Buffer): boolean {
  const said = bytes.toString("latin1", 5);
  if (bytes[0] === 0x51) return COMMIT.test(said);
  return bytes[0] === 0x50 && COMMIT.test(said.split("\0")[1]!);
}

const COM_QUERY = 3;

/** The length of the payload in three bytes, a number, the payload. */
const MYSQL: Wire = {
  fromClient: () =>
    mysqlSplitter((payload) => ({
      commits: payload[0] === COM_QUERY && COMMIT.test(payload.toString("latin1", 1)),
      answers: false,
    })),
  // To a COMMIT there is one answer, of one packet.
  fromServer: () => mysqlSplitter(() => ({ commits: false, answers: true })),
};

function mysqlSplitter(read: (payload: Buffer) => Omit<Message, "bytes">): Splitter {
  return splitter({
    lengthAt: (bytes) => (bytes.length < 4 ? null : 4 + bytes.readUIntLE(0, 3)),
    read: (bytes) => read(bytes.subarray(4)),
  });
}

interface Framing {
  /** Of the first message, all of it; null where too little has come to tell. */
  lengthAt(bytes: Buffer): number | null;
  read(message: Buffer): Omit<Message, "bytes">;
}

function splitter({ lengthAt, read }: Framing): Splitter {
  let rest = Buffer.alloc(0);
  return {
    take(bytes) {
      rest = Buffer.concat([rest, bytes]);
      const messages: Message[] = [];
      for (;;) {
        const length = lengthAt(rest);
        if (length === null || rest.length < length) return messages;
        const message = rest.subarray(0, length);
        rest = rest.subarray(length);
        messages.push({ bytes: message, ...read(message) });
      }
    },
  };
}
