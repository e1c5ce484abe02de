/** A host on a machine of its own: kernel, limits, disks, secrecy, no drift, nothing left. */

import { cancelJob } from "../../lab/gitlab-client";
import { WORKLOAD_PROJECT } from "../../lab/gitlab-instance";
import { readSecret } from "../../lab/secrets";
import type { HostOutput } from "../../lab/story";
import {
  asRoot,
  eventually,
  expectNothingLeft,
  finishLoad,
  LabStack,
  loadJob,
  runHealth,
  startLoad,
  testStack,
} from "./lab";
import { placesInLab, placesOnHost, runnerTokens } from "./secrets";

const NAME = "ci-21";

describe("a host on a VM", () => {
  let stack: LabStack;
  let host: HostOutput;
  let printed = "";

  beforeAll(async () => {
    stack = await LabStack.create(
      "lab-vm",
      testStack("vm", [{ name: NAME, node: "pve1", address: "10.77.0.121/24" }]),
    );
    printed = (await stack.up()).stdout;
    host = (await stack.hosts())[NAME] as HostOutput;
  }, 1_800_000);

  test("runs a job in a container on the VM, with the profile's limits", async () => {
    const job = await runHealth(NAME);
    expect(job.status).toBe("success");
    const kernel = await asRoot(host, "uname -r");
    expect(job.log).toContain(`kernel: ${kernel}`);
    expect(job.log).toContain(`memory limit: ${512 * 1024 * 1024}`);
    expect(job.log).toMatch(/cpu limit: 100000 100000/);
    expect(job.log).toMatch(/gitlab: gitlab\.lab\.test answers 200/);
  });

  test("has its disks where the design wants them", async () => {
    const mounts = await asRoot(
      host,
      "for m in / /var/lib/docker /cache /var/lib/docker/volumes; do findmnt -bnro TARGET,SIZE,FSTYPE $m; done",
    );
    const rows = mounts.split("\n").map((line) => line.split(" "));
    expect(rows.map(([target, , type]) => [target, type])).toEqual([
      ["/", "ext4"],
      ["/var/lib/docker", "ext4"],
      ["/cache", "ext4"],
      ["/var/lib/docker/volumes", "ext4"],
    ]);
    const gibibytes = rows.map(([, size]) => Number(size) / 1024 ** 3);
    expect(gibibytes[0]).toBeGreaterThan(18);
    expect(gibibytes[1]).toBeGreaterThan(74);
    expect(gibibytes[2]).toBeGreaterThan(18);
  });

  test("keeps the runner token in config.toml, root's and 0600, and nowhere else", async () => {
    expect(await asRoot(host, "stat -c '%a %U %G' /etc/gitlab-runner/config.toml")).toBe(
      "600 root root",
    );
    const tokens = await runnerTokens(host);
    expect(tokens).toHaveLength(2);
    const secrets = [
      ...tokens,
      readSecret("proxmoxToken"),
      readSecret("gitlabToken"),
      readSecret("gitlabOperatorToken"),
    ];
    expect(await placesOnHost(host, secrets)).toEqual(["etc/gitlab-runner/config.toml"]);
    expect(placesInLab(secrets)).toEqual([]);
    for (const secret of secrets) expect(printed).not.toContain(secret);
  });

  test("shows no change while a job's containers run", async () => {
    const [job] = await startLoad(NAME, "sleep", { DURATION: "600" });
    await eventually(
      "a job container",
      async () =>
        (await asRoot(host, "docker ps -q --filter label=com.gitlab.gitlab-runner.type=build")) !==
        "",
      180,
    );
    const preview = await stack.preview("--expect-no-changes");
    expect(preview).toMatchObject({ status: 0 });
    const refreshed = await stack.preview("--refresh", "--expect-no-changes");
    expect(refreshed).toMatchObject({ status: 0 });
    expect((await loadJob(job!.id)).status).toBe("running");
    await cancelJob(WORKLOAD_PROJECT.id, job!.id);
    expect(await finishLoad(job!.id)).toMatchObject({ status: "canceled" });
  });

  test("waits for a running job when it is destroyed, and leaves nothing", async () => {
    const [job] = await startLoad(NAME, "sleep", { DURATION: "45" });
    await eventually(
      "the job runs",
      async () => (await loadJob(job!.id)).status === "running",
      120,
    );
    await stack.destroy();
    expect(await finishLoad(job!.id)).toMatchObject({ status: "success" });
    await expectNothingLeft([NAME]);
  });
});
