import { secureHosts } from "../../../../lab/packages/machine-mirrors";

test("finds the Debian mirrors that the machine reaches over TLS", () => {
  const list = [
    "# deb https://commented.example.org/debian bookworm main",
    "deb [signed-by=/key.gpg] https://mirror.example.org/pub/debian/ bookworm main",
    "deb http://plain.example.org/debian bookworm main",
    "deb https://docker.example.org/linux/ubuntu noble stable",
  ].join("\n");
  const sources = [
    "Types: deb",
    "URIs: https://deb.example.org/debian https://mirror.example.org/debian-security",
    "Suites: bookworm",
  ].join("\n");
  expect(secureHosts([list, sources])).toEqual(["deb.example.org", "mirror.example.org"]);
  expect(secureHosts(["URIs: http://debian.example.org/debian"])).toEqual([]);
});
