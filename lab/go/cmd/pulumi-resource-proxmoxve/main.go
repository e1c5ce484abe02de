// pulumi-resource-proxmoxve is the Proxmox VE provider for Pulumi, bridged over the same Terraform
// provider (bpg/proxmox) that the published plugin bridges, for machines that cannot download that.
//
// It brings the resources that a runner host can use, under the names of the npm SDK 8.x.
package main

import (
	"encoding/json"
	"io"
	"log"

	"github.com/bpg/terraform-provider-proxmox/proxmoxtf/provider"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

const (
	name    = "proxmoxve"
	version = "8.6.0"
	prefix  = "proxmox_virtual_environment_"
)

var resources = map[string]tokens.Type{
	"vm":               "proxmoxve:index/vmLegacy:VmLegacy",
	"file":             "proxmoxve:index/fileLegacy:FileLegacy",
	"pool":             "proxmoxve:index/poolLegacy:PoolLegacy",
	"firewall_alias":   "proxmoxve:firewall/aliasLegacy:AliasLegacy",
	"firewall_ipset":   "proxmoxve:firewall/ipsetLegacy:IpsetLegacy",
	"firewall_options": "proxmoxve:firewall/optionsLegacy:OptionsLegacy",
	"firewall_rules":   "proxmoxve:firewall/rulesLegacy:RulesLegacy",
	"cluster_firewall": "proxmoxve:cluster/firewallLegacy:FirewallLegacy",
}

var functions = map[string]tokens.ModuleMember{
	"vm":  "proxmoxve:index/getVmLegacy:getVmLegacy",
	"vms": "proxmoxve:index/getVmsLegacy:getVmsLegacy",
}

func providerInfo() tfbridge.ProviderInfo {
	upstream := provider.ProxmoxVirtualEnvironment()
	// An empty text keeps the bridge from looking for the upstream documentation on disk.
	docs := &tfbridge.DocInfo{Markdown: []byte(" ")}

	mappedResources := map[string]*tfbridge.ResourceInfo{}
	for key := range upstream.ResourcesMap {
		if token, ok := resources[key[len(prefix):]]; ok {
			mappedResources[key] = &tfbridge.ResourceInfo{Tok: token, Docs: docs}
		} else {
			delete(upstream.ResourcesMap, key)
		}
	}
	mappedFunctions := map[string]*tfbridge.DataSourceInfo{}
	for key := range upstream.DataSourcesMap {
		if token, ok := functions[key[len(prefix):]]; ok {
			mappedFunctions[key] = &tfbridge.DataSourceInfo{Tok: token, Docs: docs}
		} else {
			delete(upstream.DataSourcesMap, key)
		}
	}

	info := tfbridge.ProviderInfo{
		P:              shimv2.NewProvider(upstream),
		Name:           name,
		Version:        version,
		GitHubOrg:      "bpg",
		ResourcePrefix: "proxmox_virtual_environment",
		Resources:      mappedResources,
		DataSources:    mappedFunctions,
	}
	// As in the published plugin: a VM without a name is called after its resource.
	info.SetAutonaming(255, "-")
	return info
}

func schemaOf(info tfbridge.ProviderInfo) (schema.PackageSpec, error) {
	quiet := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	return tfgen.GenerateSchema(info, quiet)
}

func main() {
	info := providerInfo()
	schema, err := schemaOf(info)
	if err != nil {
		log.Fatalf("proxmoxve: the schema could not be made: %v", err)
	}
	text, err := json.Marshal(schema)
	if err != nil {
		log.Fatalf("proxmoxve: the schema could not be written: %v", err)
	}
	tfbridge.Main(name, version, info, text)
}
