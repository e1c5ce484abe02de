/**
 * Memory of the lab's servers, besides the guests: `npm run bench -- memory`.
 *
 * Guests are processes of other groups, and not counted. Needs root and a running lab; changes
 * nothing.
 */

import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { PATHS } from "../lab/paths";
import { LabError, say, table } from "../lab/progress";
import { runningPid } from "../lab/services/process";
import { groupMappings, type Mapping, resident, together } from "./resident";
import { median } from "./statistics";

const SAMPLES = 5;
/** Seconds between two samples. */
const PAUSE = 2;
/** MiB that the servers are to stay within. */
const AIM = 300;

const mib = (kib: number) => (kib / 1024).toFixed(0);

/** @throws LabError when no server of the lab runs */
export async function measureMemory(): Promise<string> {
  const names = readdirSync(PATHS.run)
    .filter((file) => file.endsWith(".pid"))
    .map((file) => file.slice(0, -".pid".length));
  const samples: { server: string; processes: Mapping[][] }[][] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    if (sample > 0) await sleep(PAUSE * 1000);
    say(`   sample ${sample + 1} of ${SAMPLES}`);
    samples.push(
      names.flatMap((server) => {
        const pid = runningPid(server);
        return pid === undefined ? [] : [{ server, processes: groupMappings(pid) }];
      }),
    );
  }
  if (samples.some((sample) => sample.length === 0)) {
    throw new LabError('the lab is not running: start it with "make lab"');
  }
  const of = (measure: (processes: Mapping[][]) => number, server?: string) =>
    median(
      samples.map((sample) =>
        measure(
          sample
            .filter((entry) => server === undefined || entry.server === server)
            .flatMap(({ processes }) => processes),
        ),
      ),
    );
  const rows = names.map((server) => [server, mib(of(resident, server))]);
  return [
    table([
      ["SERVER", "RESIDENT MiB"],
      ...rows,
      ["sum", mib(of(resident))],
      ["together, files they share once", mib(of(together))],
    ]),
    "",
    `medians of ${SAMPLES} samples; the aim is ${AIM} MiB together`,
  ].join("\n");
}
