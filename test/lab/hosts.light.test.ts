/** Hosts on light guests: what changes, in which order, and what becomes of running jobs. */

import { readFacts } from "../../lab/facts";
import { run } from "../../lab/run";
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

const STATIC = "ci-31";
const DHCP = "ci-32";

describe("two hosts on light guests, one with a static address and one with DHCP", () => {
  let stack: LabStack;
  let hosts: Readonly<Record<string, HostOutput>>;
  const host = (name: string) => hosts[name] as HostOutput;

  beforeAll(async () => {
    stack = await LabStack.create(
      "lab-light",
      testStack("light", [
        { name: STATIC, node: "pve1", address: "10.77.0.131/24" },
        { name: DHCP, node: "pve2", address: "dhcp" },
      ]),
    );
    await stack.up();
    hosts = await stack.hosts();
  });

  /** Operations of a plan, without the names that only group others. */
  const planned = async () => Object.fromEntries(await stack.plan());

  test("both run a job that reaches GitLab over verified TLS", async () => {
    for (const name of [STATIC, DHCP]) {
      const job = await runHealth(name);
      expect(job).toMatchObject({ status: "success" });
      expect(job.log).toContain("healthy");
    }
    expect(host(DHCP).node).toBe("pve2");
    expect(host(DHCP).address).toMatch(/^10\.77\.0\.1[5-9]\d$/);
  });

  test("neither a second preview nor a refresh wants to change anything", async () => {
    expect(await stack.preview("--expect-no-changes")).toMatchObject({ status: 0 });
    expect(await stack.preview("--refresh", "--expect-no-changes")).toMatchObject({ status: 0 });
  });

  test("the steps run again without changing a file or restarting a service", async () => {
    const name = STATIC;
    const units = "systemctl show -p ExecMainStartTimestampMonotonic docker gitlab-runner";
    const files =
      "find /etc /usr/local -xdev -type f -newer /run/marker ! -path '/etc/gitlab-runners/*' | sort";
    await asRoot(host(name), "touch /run/marker");
    const before = await asRoot(host(name), units);
    // Replacing nothing but the commands' results runs each of them once more.
    await stack.up(
      ...["docker", "runner", "config", "gate"].flatMap((step) => [
        "--replace",
        `urn:pulumi:${stack.name}::gitlab-runners::gitlab-runners:index:RunnerFleet$gitlab-runners:index:RunnerHost$command:remote:Command::${name}-${step}`,
      ]),
    );
    expect(await asRoot(host(name), units)).toBe(before);
    expect(await asRoot(host(name), files)).toBe("");
  });

  test("artifacts and cache pass from one job to the next", async () => {
    const jobs = await startLoad(STATIC, "produce");
    for (const { id } of jobs) expect(await finishLoad(id)).toMatchObject({ status: "success" });
    const consumer = await finishLoad(jobs.find(({ name }) => name === "consume")!.id);
    expect(consumer.log).toMatch(/made by \d+/);
    expect(consumer.log).toContain("kept");
  });

  test("a failing script and a refused image fail the job for what they are", async () => {
    const [script] = await startLoad(STATIC, "script-failure");
    expect(await finishLoad(script!.id)).toMatchObject({
      status: "failed",
      failure_reason: "script_failure",
    });
    const [refused] = await startLoad(STATIC, "refused");
    const ended = await finishLoad(refused!.id);
    expect(ended.status).toBe("failed");
    expect(ended.log).not.toContain("must not run");
  });

  test("a changed limit is loaded while a job runs", async () => {
    const [job] = await startLoad(STATIC, "sleep", { DURATION: "40" });
    await eventually("the job runs", async () => (await loadJob(job!.id)).status === "running");
    await stack.change({ defaults: { runner: { concurrent: 3 } } });
    const plan = await planned();
    expect(plan).toMatchObject({
      [`${STATIC}-config`]: "update",
      [`${STATIC}-gate`]: "update",
      [`${DHCP}-config`]: "update",
    });
    expect(Object.keys(plan).some((name) => /-(vm|docker|runner|drain)$/.test(name))).toBe(false);
    await stack.up();
    expect(await asRoot(host(STATIC), "grep ^concurrent /etc/gitlab-runner/config.toml")).toBe(
      "concurrent = 3",
    );
    expect(await finishLoad(job!.id)).toMatchObject({ status: "success" });
  });

  test("a changed Docker setting waits for the running job", async () => {
    const [job] = await startLoad(STATIC, "sleep", { DURATION: "30" });
    await eventually("the job runs", async () => (await loadJob(job!.id)).status === "running");
    await stack.change({ hosts: { [STATIC]: { docker: { logMaxFiles: 5 } } } });
    expect(Object.keys(await planned()).some((name) => name.startsWith(DHCP))).toBe(false);
    await stack.up();
    // When `up` is done the job has ended long since: Docker restarted only then.
    expect(await loadJob(job!.id)).toMatchObject({ status: "success" });
    expect(await asRoot(host(STATIC), 'grep -c \'"max-file": "5"\' /etc/docker/daemon.json')).toBe(
      "1",
    );
  });

  test("a step that fails ends up with host, step, cause and remedy, and goes on from there", async () => {
    await stack.change({ hosts: { [DHCP]: { docker: { version: "99.9-lab" } } } });
    const output = await stack.failingUp();
    expect(output).toMatch(
      new RegExp(
        `${DHCP}.*: step docker failed: .*docker\\.io=99\\.9-lab.* cannot be had: compare docker\\.version`,
      ),
    );
    // What served before serves still.
    expect(await runHealth(DHCP)).toMatchObject({ status: "success" });
    await stack.change({ hosts: { [DHCP]: { docker: { version: undefined } } } });
    await stack.up();
    expect(await stack.preview("--expect-no-changes")).toMatchObject({ status: 0 });
  });

  test("bad input is refused in preview, all of it at once, and changes nothing", async () => {
    const before = await stack.state();
    await stack.change({
      hosts: { [STATIC]: { address: "10.77.0.300/24", coores: 4 } },
      profiles: { default: { tags: ["Has Space"] } },
    });
    const preview = await stack.preview();
    expect(preview.status).not.toBe(0);
    const text = preview.stdout + preview.stderr;
    expect(text).toContain("10.77.0.300/24");
    expect(text).toContain('did you mean "cores"?');
    expect(text).toContain("Has Space");
    expect(await stack.state()).toBe(before);
    await stack.change({
      hosts: { [STATIC]: { address: "10.77.0.131/24", coores: undefined } },
      profiles: { default: { tags: undefined } },
    });
    expect(await stack.preview("--expect-no-changes")).toMatchObject({ status: 0 });
  });

  test("other clients find the lab's Proxmox and GitLab by the usual variables", async () => {
    const answers = await run(
      "bash",
      [
        "-c",
        `set -eu
        printf 'Authorization: PVEAPIToken=%s' "$PROXMOX_VE_API_TOKEN" | curl -sSf -H @- "$PROXMOX_VE_ENDPOINT/api2/json/version"
        curl -sS -o /dev/null -w ' %{http_code}' "\${GITLAB_BASE_URL}user"
        printf 'PRIVATE-TOKEN: %s' "$GITLAB_TOKEN" | curl -sS -H @- -o /dev/null -w ' %{http_code}' "\${GITLAB_BASE_URL}user"`,
      ],
      { limit: 60 },
    );
    // The token's scopes do not cover /user: 403 is what GitLab says to that, 401 to no token.
    expect(answers.stdout).toMatch(/"version":"9\.\d+\.\d+".* 401 403$/);
    expect(readFacts().runnerVersion).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test("destroy drains, and leaves nothing", async () => {
    const [job] = await startLoad(DHCP, "sleep", { DURATION: "20" });
    await eventually("the job runs", async () => (await loadJob(job!.id)).status === "running");
    await stack.destroy();
    expect(await finishLoad(job!.id)).toMatchObject({ status: "success" });
    await expectNothingLeft([STATIC, DHCP]);
  });
});
