package config

import "time"

// Kubernetes is the table `runners.kubernetes`.
type Kubernetes struct {
	Host                                              string                              `toml:"host"`
	Context                                           string                              `toml:"context"`
	CertFile                                          string                              `toml:"cert_file"`
	KeyFile                                           string                              `toml:"key_file"`
	CAFile                                            string                              `toml:"ca_file"`
	BearerTokenOverwriteAllowed                       bool                                `toml:"bearer_token_overwrite_allowed"`
	BearerToken                                       string                              `toml:"bearer_token"`
	Image                                             string                              `toml:"image"`
	Namespace                                         string                              `toml:"namespace"`
	NamespaceOverwriteAllowed                         string                              `toml:"namespace_overwrite_allowed"`
	NamespacePerJob                                   bool                                `toml:"namespace_per_job"`
	Privileged                                        bool                                `toml:"privileged"`
	RuntimeClassName                                  string                              `toml:"runtime_class_name"`
	AllowPrivilegeEscalation                          bool                                `toml:"allow_privilege_escalation"`
	CPULimit                                          string                              `toml:"cpu_limit"`
	CPULimitOverwriteMaxAllowed                       string                              `toml:"cpu_limit_overwrite_max_allowed"`
	CPURequest                                        string                              `toml:"cpu_request"`
	CPURequestOverwriteMaxAllowed                     string                              `toml:"cpu_request_overwrite_max_allowed"`
	MemoryLimit                                       string                              `toml:"memory_limit"`
	MemoryLimitOverwriteMaxAllowed                    string                              `toml:"memory_limit_overwrite_max_allowed"`
	MemoryRequest                                     string                              `toml:"memory_request"`
	MemoryRequestOverwriteMaxAllowed                  string                              `toml:"memory_request_overwrite_max_allowed"`
	EphemeralStorageLimit                             string                              `toml:"ephemeral_storage_limit"`
	EphemeralStorageLimitOverwriteMaxAllowed          string                              `toml:"ephemeral_storage_limit_overwrite_max_allowed"`
	EphemeralStorageRequest                           string                              `toml:"ephemeral_storage_request"`
	EphemeralStorageRequestOverwriteMaxAllowed        string                              `toml:"ephemeral_storage_request_overwrite_max_allowed"`
	ServiceCPULimit                                   string                              `toml:"service_cpu_limit"`
	ServiceCPULimitOverwriteMaxAllowed                string                              `toml:"service_cpu_limit_overwrite_max_allowed"`
	ServiceCPURequest                                 string                              `toml:"service_cpu_request"`
	ServiceCPURequestOverwriteMaxAllowed              string                              `toml:"service_cpu_request_overwrite_max_allowed"`
	ServiceMemoryLimit                                string                              `toml:"service_memory_limit"`
	ServiceMemoryLimitOverwriteMaxAllowed             string                              `toml:"service_memory_limit_overwrite_max_allowed"`
	ServiceMemoryRequest                              string                              `toml:"service_memory_request"`
	ServiceMemoryRequestOverwriteMaxAllowed           string                              `toml:"service_memory_request_overwrite_max_allowed"`
	ServiceEphemeralStorageLimit                      string                              `toml:"service_ephemeral_storage_limit"`
	ServiceEphemeralStorageLimitOverwriteMaxAllowed   string                              `toml:"service_ephemeral_storage_limit_overwrite_max_allowed"`
	ServiceEphemeralStorageRequest                    string                              `toml:"service_ephemeral_storage_request"`
	ServiceEphemeralStorageRequestOverwriteMaxAllowed string                              `toml:"service_ephemeral_storage_request_overwrite_max_allowed"`
	HelperCPULimit                                    string                              `toml:"helper_cpu_limit"`
	HelperCPULimitOverwriteMaxAllowed                 string                              `toml:"helper_cpu_limit_overwrite_max_allowed"`
	HelperCPURequest                                  string                              `toml:"helper_cpu_request"`
	HelperCPURequestOverwriteMaxAllowed               string                              `toml:"helper_cpu_request_overwrite_max_allowed"`
	HelperMemoryLimit                                 string                              `toml:"helper_memory_limit"`
	HelperMemoryLimitOverwriteMaxAllowed              string                              `toml:"helper_memory_limit_overwrite_max_allowed"`
	HelperMemoryRequest                               string                              `toml:"helper_memory_request"`
	HelperMemoryRequestOverwriteMaxAllowed            string                              `toml:"helper_memory_request_overwrite_max_allowed"`
	HelperEphemeralStorageLimit                       string                              `toml:"helper_ephemeral_storage_limit"`
	HelperEphemeralStorageLimitOverwriteMaxAllowed    string                              `toml:"helper_ephemeral_storage_limit_overwrite_max_allowed"`
	HelperEphemeralStorageRequest                     string                              `toml:"helper_ephemeral_storage_request"`
	HelperEphemeralStorageRequestOverwriteMaxAllowed  string                              `toml:"helper_ephemeral_storage_request_overwrite_max_allowed"`
	PodCPULimit                                       string                              `toml:"pod_cpu_limit"`
	PodCPULimitOverwriteMaxAllowed                    string                              `toml:"pod_cpu_limit_overwrite_max_allowed"`
	PodCPURequest                                     string                              `toml:"pod_cpu_request"`
	PodCPURequestOverwriteMaxAllowed                  string                              `toml:"pod_cpu_request_overwrite_max_allowed"`
	PodMemoryLimit                                    string                              `toml:"pod_memory_limit"`
	PodMemoryLimitOverwriteMaxAllowed                 string                              `toml:"pod_memory_limit_overwrite_max_allowed"`
	PodMemoryRequest                                  string                              `toml:"pod_memory_request"`
	PodMemoryRequestOverwriteMaxAllowed               string                              `toml:"pod_memory_request_overwrite_max_allowed"`
	AllowedImages                                     []string                            `toml:"allowed_images"`
	AllowedPullPolicies                               []string                            `toml:"allowed_pull_policies"`
	AllowedServices                                   []string                            `toml:"allowed_services"`
	AllowedUsers                                      []string                            `toml:"allowed_users"`
	AllowedGroups                                     []string                            `toml:"allowed_groups"`
	PullPolicy                                        StringOrArray                       `toml:"pull_policy"`
	NodeSelector                                      map[string]string                   `toml:"node_selector"`
	NodeSelectorOverwriteAllowed                      string                              `toml:"node_selector_overwrite_allowed"`
	NodeTolerations                                   map[string]string                   `toml:"node_tolerations"`
	NodeTolerationsOverwriteAllowed                   string                              `toml:"node_tolerations_overwrite_allowed"`
	Affinity                                          *KubernetesAffinity                 `toml:"affinity"`
	ImagePullSecrets                                  []string                            `toml:"image_pull_secrets"`
	UseServiceAccountImagePullSecrets                 bool                                `toml:"use_service_account_image_pull_secrets"`
	HelperImage                                       string                              `toml:"helper_image"`
	HelperImageFlavor                                 string                              `toml:"helper_image_flavor"`
	HelperImageAutosetArchAndOS                       bool                                `toml:"helper_image_autoset_arch_and_os"`
	PodTerminationGracePeriodSeconds                  int64                               `toml:"pod_termination_grace_period_seconds"`
	CleanupGracePeriodSeconds                         int64                               `toml:"cleanup_grace_period_seconds"`
	CleanupResourcesTimeout                           time.Duration                       `toml:"cleanup_resources_timeout"`
	PollInterval                                      int                                 `toml:"poll_interval"`
	PollTimeout                                       int                                 `toml:"poll_timeout"`
	ResourceAvailabilityCheckMaxAttempts              int                                 `toml:"resource_availability_check_max_attempts"`
	RetryLimit                                        int                                 `toml:"retry_limit"`
	RetryBackoffMax                                   int                                 `toml:"retry_backoff_max"`
	RetryLimits                                       map[string]int                      `toml:"retry_limits"`
	PodLabels                                         map[string]string                   `toml:"pod_labels"`
	PodLabelsOverwriteAllowed                         string                              `toml:"pod_labels_overwrite_allowed"`
	SchedulerName                                     string                              `toml:"scheduler_name"`
	ServiceAccount                                    string                              `toml:"service_account"`
	ServiceAccountOverwriteAllowed                    string                              `toml:"service_account_overwrite_allowed"`
	AutomountServiceAccountToken                      bool                                `toml:"automount_service_account_token"`
	PodAnnotations                                    map[string]string                   `toml:"pod_annotations"`
	PodAnnotationsOverwriteAllowed                    string                              `toml:"pod_annotations_overwrite_allowed"`
	PodSecurityContext                                *KubernetesPodSecurityContext       `toml:"pod_security_context"`
	InitPermissionsContainerSecurityContext           *KubernetesContainerSecurityContext `toml:"init_permissions_container_security_context"`
	BuildContainerSecurityContext                     *KubernetesContainerSecurityContext `toml:"build_container_security_context"`
	HelperContainerSecurityContext                    *KubernetesContainerSecurityContext `toml:"helper_container_security_context"`
	ServiceContainerSecurityContext                   *KubernetesContainerSecurityContext `toml:"service_container_security_context"`
	Volumes                                           *KubernetesVolumes                  `toml:"volumes"`
	HostAliases                                       []KubernetesHostAliases             `toml:"host_aliases"`
	Services                                          []Service                           `toml:"services"`
	CapAdd                                            []string                            `toml:"cap_add"`
	CapDrop                                           []string                            `toml:"cap_drop"`
	DNSPolicy                                         string                              `toml:"dns_policy"`
	DNSConfig                                         *KubernetesDNSConfig                `toml:"dns_config"`
	ContainerLifecycle                                *KubernetesContainerLifecycle       `toml:"container_lifecycle"`
	PriorityClassName                                 string                              `toml:"priority_class_name"`
	PodSpec                                           []KubernetesPodSpec                 `toml:"pod_spec"`
	LogsBaseDir                                       string                              `toml:"logs_base_dir"`
	ScriptsBaseDir                                    string                              `toml:"scripts_base_dir"`
	PrintPodWarningEvents                             bool                                `toml:"print_pod_warning_events"`
	PodDisruptionBudget                               bool                                `toml:"pod_disruption_budget"`
	Autoscaler                                        *KubernetesAutoscaler               `toml:"autoscaler"`
}

// KubernetesAffinity is the table `runners.kubernetes.affinity`.
type KubernetesAffinity struct {
	NodeAffinity    *KubernetesNodeAffinity    `toml:"node_affinity"`
	PodAffinity     *KubernetesPodAffinity     `toml:"pod_affinity"`
	PodAntiAffinity *KubernetesPodAntiAffinity `toml:"pod_anti_affinity"`
}

// KubernetesNodeAffinity is the table `runners.kubernetes.affinity.node_affinity`.
type KubernetesNodeAffinity struct {
	RequiredDuringSchedulingIgnoredDuringExecution  *NodeSelector             `toml:"required_during_scheduling_ignored_during_execution"`
	PreferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm `toml:"preferred_during_scheduling_ignored_during_execution"`
}

// NodeSelector is the table `runners.kubernetes.affinity.node_affinity.required_during_scheduling_ignored_during_execution`.
type NodeSelector struct {
	NodeSelectorTerms []NodeSelectorTerm `toml:"node_selector_terms"`
}

// NodeSelectorTerm is the table `runners.kubernetes.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms`.
type NodeSelectorTerm struct {
	MatchExpressions []NodeSelectorRequirement `toml:"match_expressions"`
	MatchFields      []NodeSelectorRequirement `toml:"match_fields"`
}

// PreferredSchedulingTerm is the table `runners.kubernetes.affinity.node_affinity.preferred_during_scheduling_ignored_during_execution`.
type PreferredSchedulingTerm struct {
	Weight     int32             `toml:"weight"`
	Preference *NodeSelectorTerm `toml:"preference"`
}

// KubernetesPodAffinity is the table `runners.kubernetes.affinity.pod_affinity`.
type KubernetesPodAffinity struct {
	RequiredDuringSchedulingIgnoredDuringExecution  []PodAffinityTerm         `toml:"required_during_scheduling_ignored_during_execution"`
	PreferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm `toml:"preferred_during_scheduling_ignored_during_execution"`
}

// PodAffinityTerm is the table `runners.kubernetes.affinity.pod_affinity.required_during_scheduling_ignored_during_execution`.
type PodAffinityTerm struct {
	LabelSelector     *LabelSelector `toml:"label_selector"`
	Namespaces        []string       `toml:"namespaces"`
	TopologyKey       string         `toml:"topology_key"`
	NamespaceSelector *LabelSelector `toml:"namespace_selector"`
	MatchLabelKeys    []string       `toml:"match_label_keys"`
	MismatchLabelKeys []string       `toml:"mismatch_label_keys"`
}

// LabelSelector is the table `runners.kubernetes.affinity.pod_affinity.required_during_scheduling_ignored_during_execution.label_selector`.
type LabelSelector struct {
	MatchLabels      map[string]string         `toml:"match_labels"`
	MatchExpressions []NodeSelectorRequirement `toml:"match_expressions"`
}

// WeightedPodAffinityTerm is the table `runners.kubernetes.affinity.pod_affinity.preferred_during_scheduling_ignored_during_execution`.
type WeightedPodAffinityTerm struct {
	Weight          int32            `toml:"weight"`
	PodAffinityTerm *PodAffinityTerm `toml:"pod_affinity_term"`
}

// KubernetesPodAntiAffinity is the table `runners.kubernetes.affinity.pod_anti_affinity`.
type KubernetesPodAntiAffinity struct {
	RequiredDuringSchedulingIgnoredDuringExecution  []PodAffinityTerm         `toml:"required_during_scheduling_ignored_during_execution"`
	PreferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm `toml:"preferred_during_scheduling_ignored_during_execution"`
}

// KubernetesPodSecurityContext is the table `runners.kubernetes.pod_security_context`.
type KubernetesPodSecurityContext struct {
	FsGroup            int64                      `toml:"fs_group"`
	RunAsGroup         int64                      `toml:"run_as_group"`
	RunAsNonRoot       bool                       `toml:"run_as_non_root"`
	RunAsUser          int64                      `toml:"run_as_user"`
	SupplementalGroups []int64                    `toml:"supplemental_groups"`
	SELinuxType        string                     `toml:"selinux_type"`
	SeccompProfile     *KubernetesSeccompProfile  `toml:"seccomp_profile"`
	AppArmorProfile    *KubernetesAppArmorProfile `toml:"app_armor_profile"`
}

// KubernetesSeccompProfile is the table `runners.kubernetes.pod_security_context.seccomp_profile`.
type KubernetesSeccompProfile struct {
	Type             string `toml:"type"`
	LocalhostProfile string `toml:"localhost_profile"`
}

// KubernetesAppArmorProfile is the table `runners.kubernetes.pod_security_context.app_armor_profile`.
type KubernetesAppArmorProfile struct {
	Type             string `toml:"type"`
	LocalhostProfile string `toml:"localhost_profile"`
}

// KubernetesContainerSecurityContext is the table `runners.kubernetes.init_permissions_container_security_context`.
type KubernetesContainerSecurityContext struct {
	Capabilities             *KubernetesContainerCapabilities `toml:"capabilities"`
	Privileged               bool                             `toml:"privileged"`
	RunAsUser                int64                            `toml:"run_as_user"`
	RunAsGroup               int64                            `toml:"run_as_group"`
	RunAsNonRoot             bool                             `toml:"run_as_non_root"`
	ReadOnlyRootFilesystem   bool                             `toml:"read_only_root_filesystem"`
	AllowPrivilegeEscalation bool                             `toml:"allow_privilege_escalation"`
	SELinuxType              string                           `toml:"selinux_type"`
	ProcMount                string                           `toml:"proc_mount"`
	SeccompProfile           *KubernetesSeccompProfile        `toml:"seccomp_profile"`
	AppArmorProfile          *KubernetesAppArmorProfile       `toml:"app_armor_profile"`
}

// KubernetesContainerCapabilities is the table `runners.kubernetes.init_permissions_container_security_context.capabilities`.
type KubernetesContainerCapabilities struct {
	Add  []string `toml:"add"`
	Drop []string `toml:"drop"`
}

// KubernetesVolumes is the table `runners.kubernetes.volumes`.
type KubernetesVolumes struct {
	HostPath  []KubernetesHostPath  `toml:"host_path"`
	PVC       []KubernetesPVC       `toml:"pvc"`
	ConfigMap []KubernetesConfigMap `toml:"config_map"`
	Secret    []KubernetesSecret    `toml:"secret"`
	EmptyDir  []KubernetesEmptyDir  `toml:"empty_dir"`
	CSI       []KubernetesCSI       `toml:"csi"`
	NFS       []KubernetesNFS       `toml:"nfs"`
}

// KubernetesHostPath is the table `runners.kubernetes.volumes.host_path`.
type KubernetesHostPath struct {
	Name             string `toml:"name"`
	MountPath        string `toml:"mount_path"`
	SubPath          string `toml:"sub_path"`
	ReadOnly         bool   `toml:"read_only"`
	HostPath         string `toml:"host_path"`
	MountPropagation string `toml:"mount_propagation"`
}

// KubernetesPVC is the table `runners.kubernetes.volumes.pvc`.
type KubernetesPVC struct {
	Name             string `toml:"name"`
	MountPath        string `toml:"mount_path"`
	SubPath          string `toml:"sub_path"`
	ReadOnly         bool   `toml:"read_only"`
	MountPropagation string `toml:"mount_propagation"`
}

// KubernetesConfigMap is the table `runners.kubernetes.volumes.config_map`.
type KubernetesConfigMap struct {
	Name      string            `toml:"name"`
	MountPath string            `toml:"mount_path"`
	SubPath   string            `toml:"sub_path"`
	ReadOnly  bool              `toml:"read_only"`
	Items     map[string]string `toml:"items"`
}

// KubernetesSecret is the table `runners.kubernetes.volumes.secret`.
type KubernetesSecret struct {
	Name      string            `toml:"name"`
	MountPath string            `toml:"mount_path"`
	SubPath   string            `toml:"sub_path"`
	ReadOnly  bool              `toml:"read_only"`
	Items     map[string]string `toml:"items"`
}

// KubernetesEmptyDir is the table `runners.kubernetes.volumes.empty_dir`.
type KubernetesEmptyDir struct {
	Name             string `toml:"name"`
	MountPath        string `toml:"mount_path"`
	SubPath          string `toml:"sub_path"`
	Medium           string `toml:"medium"`
	SizeLimit        string `toml:"size_limit"`
	MountPropagation string `toml:"mount_propagation"`
}

// KubernetesCSI is the table `runners.kubernetes.volumes.csi`.
type KubernetesCSI struct {
	Name             string            `toml:"name"`
	MountPath        string            `toml:"mount_path"`
	SubPath          string            `toml:"sub_path"`
	Driver           string            `toml:"driver"`
	FsType           string            `toml:"fs_type"`
	ReadOnly         bool              `toml:"read_only"`
	VolumeAttributes map[string]string `toml:"volume_attributes"`
}

// KubernetesNFS is the table `runners.kubernetes.volumes.nfs`.
type KubernetesNFS struct {
	Name      string `toml:"name"`
	MountPath string `toml:"mount_path"`
	SubPath   string `toml:"sub_path"`
	Server    string `toml:"server"`
	Path      string `toml:"path"`
	ReadOnly  bool   `toml:"read_only"`
}

// KubernetesDNSConfig is the table `runners.kubernetes.dns_config`.
type KubernetesDNSConfig struct {
	Nameservers []string              `toml:"nameservers"`
	Options     []KubernetesDNSOption `toml:"options"`
	Searches    []string              `toml:"searches"`
}

// KubernetesDNSOption is the table `runners.kubernetes.dns_config.options`.
type KubernetesDNSOption struct {
	Name  string `toml:"name"`
	Value string `toml:"value"`
}

// KubernetesContainerLifecycle is the table `runners.kubernetes.container_lifecycle`.
type KubernetesContainerLifecycle struct {
	PostStart *KubernetesLifecycleHandler `toml:"post_start"`
	PreStop   *KubernetesLifecycleHandler `toml:"pre_stop"`
}

// KubernetesLifecycleHandler is the table `runners.kubernetes.container_lifecycle.post_start`.
type KubernetesLifecycleHandler struct {
	Exec      *KubernetesLifecycleExecAction `toml:"exec"`
	HTTPGet   *KubernetesLifecycleHTTPGet    `toml:"http_get"`
	TCPSocket *KubernetesLifecycleTCPSocket  `toml:"tcp_socket"`
}

// KubernetesLifecycleExecAction is the table `runners.kubernetes.container_lifecycle.post_start.exec`.
type KubernetesLifecycleExecAction struct {
	Command []string `toml:"command"`
}

// KubernetesLifecycleHTTPGet is the table `runners.kubernetes.container_lifecycle.post_start.http_get`.
type KubernetesLifecycleHTTPGet struct {
	Host        string                             `toml:"host"`
	HTTPHeaders []KubernetesLifecycleHTTPGetHeader `toml:"http_headers"`
	Path        string                             `toml:"path"`
	Port        int                                `toml:"port"`
	Scheme      string                             `toml:"scheme"`
}

// KubernetesLifecycleHTTPGetHeader is the table `runners.kubernetes.container_lifecycle.post_start.http_get.http_headers`.
type KubernetesLifecycleHTTPGetHeader struct {
	Name  string `toml:"name"`
	Value string `toml:"value"`
}

// KubernetesLifecycleTCPSocket is the table `runners.kubernetes.container_lifecycle.post_start.tcp_socket`.
type KubernetesLifecycleTCPSocket struct {
	Host string `toml:"host"`
	Port int    `toml:"port"`
}

// KubernetesPodSpec is the table `runners.kubernetes.pod_spec`.
type KubernetesPodSpec struct {
	Name      string `toml:"name"`
	PatchPath string `toml:"patch_path"`
	Patch     string `toml:"patch"`
	PatchType string `toml:"patch_type"`
}

// KubernetesAutoscaler is the table `runners.kubernetes.autoscaler`.
type KubernetesAutoscaler struct {
	MaxPausePods              int                `toml:"max_pause_pods"`
	PausePodImage             string             `toml:"pause_pod_image"`
	PausePodPriorityClassName string             `toml:"pause_pod_priority_class_name"`
	Policy                    []AutoscalerPolicy `toml:"policy"`
	PausePodImagePullSecrets  []string           `toml:"pause_pod_image_pull_secrets"`
}

// NodeSelectorRequirement is the table `runners.kubernetes.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms.match_expressions`.
type NodeSelectorRequirement struct {
	Key      string   `toml:"key"`
	Operator string   `toml:"operator"`
	Values   []string `toml:"values"`
}

// KubernetesHostAliases is the table `runners.kubernetes.host_aliases`.
type KubernetesHostAliases struct {
	IP        string   `toml:"ip"`
	Hostnames []string `toml:"hostnames"`
}
