import { DockerConfig } from "../config/model";
import { joinCertificates } from "./certificates";
import { HostFile } from "./files";

/** `/etc/docker/daemon.json`, as text. */
export function renderDaemonJson(docker: DockerConfig): string {
  const daemon = {
    "log-driver": "local",
    "log-opts": { "max-size": docker.logMaxSize, "max-file": String(docker.logMaxFiles) },
    "live-restore": docker.liveRestore,
    "default-address-pools": docker.addressPools.map(({ base, size }) => ({ base, size })),
    "default-ulimits": {
      nofile: { Name: "nofile", Soft: docker.openFiles, Hard: docker.openFiles },
    },
    // Docker 29's own choice keeps images under /var/lib/containerd: on the root disk.
    features: { "containerd-snapshotter": false },
    ...(docker.mtu === undefined ? {} : { mtu: docker.mtu }),
    ...(docker.registryMirrors.length === 0 ? {} : { "registry-mirrors": docker.registryMirrors }),
  };
  return `${JSON.stringify(daemon, null, 2)}\n`;
}

/** The CA certificates with which Docker trusts the registry mirrors that speak TLS. */
export function mirrorCertificates(docker: DockerConfig, pem: string | undefined): HostFile[] {
  if (pem === undefined) {
    return [];
  }
  const hosts = docker.registryMirrors
    .map((mirror) => new URL(mirror))
    .filter((url) => url.protocol === "https:")
    .map((url) => url.host);
  return [...new Set(hosts)].sort().map((host) => ({
    path: `/etc/docker/certs.d/${host}/ca.crt`,
    mode: "0644",
    content: joinCertificates(pem),
  }));
}
