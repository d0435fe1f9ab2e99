import { createConnection, type Connection } from "mysql2/promise";
import { describe, expect, it, onTestFinished } from "vitest";
import { has, startGalera } from "./index.js";
import { listening } from "./processes.js";

async function my(uri: string): Promise<Connection> {
  const connection = await createConnection(uri);
  // Of a node that is killed.
  connection.on("error", () => {});
  onTestFinished(() => connection.destroy());
  return connection;
}

/** A write of everybody's is seen at once where it is asked to be. */
const CURRENT = "set session wsrep_sync_wait = 1";

describe.skipIf(!(await has("galera")))("a Galera cluster", () => {
  it("is three nodes with the same data; one that was killed catches up", async () => {
    await using cluster = await startGalera({ durable: false });
    const [first, second, third] = cluster.nodes.map((node) => node.url);
    const pids = (await Promise.all(cluster.nodes.map((node) => node.processes()))).flat();
    expect(listening(pids).length).toBeGreaterThanOrEqual(6);
    for (const place of listening(pids)) expect(place).toMatch(/^127\.0\.0\.1:/);
    const one = await my(first!);
    const [size] = await one.query("show status like 'wsrep_cluster_size'");
    expect(size).toEqual([{ Variable_name: "wsrep_cluster_size", Value: "3" }]);

    await one.query("create database shared");
    await one.query("create table shared.seen (n int primary key)");
    const two = await my(second!);
    await two.query(CURRENT);
    await two.query("insert into shared.seen values (1)");

    const [founder] = cluster.nodes;
    await founder!.kill();
    await two.query("insert into shared.seen values (2)");
    await founder!.start();
    for (const url of [first!, third!]) {
      const connection = await my(url);
      await connection.query(CURRENT);
      const [rows] = await connection.query("select n from shared.seen order by n");
      expect(rows).toEqual([{ n: 1 }, { n: 2 }]);
    }
  }, 180_000);
});
