import {
  parseBundle,
  renderConfigBundle,
  renderDockerBundle,
  renderGateBundle,
  renderRunnerBundle,
} from "../../../host";
import { BARE_HOST, BARE_STACK, HOST, STACK } from "./fixture";
import { expectGolden } from "./golden";

const RENDERERS = {
  docker: renderDockerBundle,
  runner: renderRunnerBundle,
  config: renderConfigBundle,
  gate: renderGateBundle,
};

describe.each([
  ["full", HOST, STACK],
  ["bare", BARE_HOST, BARE_STACK],
])("the bundles of the %s host", (name, host, stack) => {
  it.each(Object.entries(RENDERERS))("render %s as reviewed", (step, render) => {
    expectGolden(`${name}/${step}.bundle`, render(host, stack));
  });

  it.each(Object.entries(RENDERERS))("can be parsed back: %s", (step, render) => {
    const bundle = parseBundle(render(host, stack));
    expect(bundle.step).toBe(step);
    expect(bundle.files.map((file) => file.path)).toContain(`/etc/gitlab-runners/${step}.env`);
  });
});

it("keeps config.toml to root", () => {
  const { files } = parseBundle(renderConfigBundle(HOST, STACK));
  const config = files.find((file) => file.path === "/etc/gitlab-runner/config.toml");
  expect(config?.mode).toBe("0600");
});

it("trusts a mirror's certificate only where the mirror speaks TLS", () => {
  const paths = parseBundle(renderDockerBundle(HOST, STACK)).files.map((file) => file.path);
  expect(paths.filter((path) => path.startsWith("/etc/docker/certs.d/"))).toEqual([
    "/etc/docker/certs.d/registry.example.org/ca.crt",
  ]);
});

it.each([
  ["127.0.0.1:9252", "http://127.0.0.1:9252/metrics"],
  ["0.0.0.0:9252", "http://127.0.0.1:9252/metrics"],
  [":9252", "http://127.0.0.1:9252/metrics"],
  ["[::]:9252", "http://127.0.0.1:9252/metrics"],
  ["10.0.0.11:9100", "http://10.0.0.11:9100/metrics"],
  ["", ""],
])("reaches metrics that listen on %j at %j", (metricsListen, url) => {
  const host = { ...HOST, runner: { ...HOST.runner, metricsListen } };
  expect(renderConfigBundle(host, STACK)).toContain(`METRICS_URL='${url}'\n`);
});

it("lets a shutdown last longer than a stop, and a stop longer than a drain", () => {
  const text = renderRunnerBundle(HOST, STACK);
  const seconds = (key: string) => Number(new RegExp(`^${key}=(\\d+)$`, "m").exec(text)?.[1]);
  expect(seconds("TimeoutStopSec")).toBeGreaterThan(HOST.runner.drainTimeout);
  expect(seconds("JobTimeoutSec")).toBeGreaterThan(seconds("TimeoutStopSec"));
});
