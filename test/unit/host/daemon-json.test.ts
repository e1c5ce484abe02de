import { renderDaemonJson } from "../../../host/daemon-json";
import { BARE_HOST, HOST } from "./fixture";

describe("daemon.json", () => {
  it("holds what the stack says", () => {
    expect(JSON.parse(renderDaemonJson(HOST.docker))).toMatchObject({
      "log-driver": "local",
      "log-opts": { "max-size": "20m", "max-file": "3" },
      "live-restore": true,
      "default-address-pools": [{ base: "172.20.0.0/14", size: 24 }],
      "registry-mirrors": ["https://registry.example.org", "http://mirror.example.org:5000"],
      mtu: 1450,
    });
  });

  it("leaves out what the stack does not say", () => {
    const daemon = JSON.parse(renderDaemonJson(BARE_HOST.docker));
    expect(daemon).not.toHaveProperty("registry-mirrors");
    expect(daemon).not.toHaveProperty("mtu");
  });

  it("keeps images on the Docker disk, with Docker 29 too", () => {
    expect(JSON.parse(renderDaemonJson(HOST.docker)).features).toEqual({
      "containerd-snapshotter": false,
    });
  });
});
