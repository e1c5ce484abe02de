package config

// Cache is the table `runners.cache`.
type Cache struct {
	Type                   string      `toml:"Type"`
	Path                   string      `toml:"Path"`
	Shared                 bool        `toml:"Shared"`
	MaxUploadedArchiveSize int64       `toml:"MaxUploadedArchiveSize"`
	S3                     *CacheS3    `toml:"s3"`
	GCS                    *CacheGCS   `toml:"gcs"`
	Azure                  *CacheAzure `toml:"azure"`
}

// CacheS3 is the table `runners.cache.s3`.
type CacheS3 struct {
	ServerAddress                       string `toml:"ServerAddress"`
	AccessKey                           string `toml:"AccessKey"`
	SecretKey                           string `toml:"SecretKey"`
	SessionToken                        string `toml:"SessionToken"`
	BucketName                          string `toml:"BucketName"`
	BucketLocation                      string `toml:"BucketLocation"`
	Insecure                            bool   `toml:"Insecure"`
	AuthenticationType                  string `toml:"AuthenticationType"`
	ServerSideEncryption                string `toml:"ServerSideEncryption"`
	ServerSideEncryptionKeyID           string `toml:"ServerSideEncryptionKeyID"`
	DualStack                           bool   `toml:"DualStack"`
	PathStyle                           bool   `toml:"PathStyle"`
	Accelerate                          bool   `toml:"Accelerate"`
	RoleARN                             string `toml:"RoleARN"`
	UploadRoleARN                       string `toml:"UploadRoleARN"`
	AssumeRoleMaxConcurrency            int    `toml:"AssumeRoleMaxConcurrency"`
	DisableAssumeRoleCredentialsCaching bool   `toml:"DisableAssumeRoleCredentialsCaching"`
}

// CacheGCS is the table `runners.cache.gcs`.
type CacheGCS struct {
	AccessID        string `toml:"AccessID"`
	PrivateKey      string `toml:"PrivateKey"`
	CredentialsFile string `toml:"CredentialsFile"`
	BucketName      string `toml:"BucketName"`
	UniverseDomain  string `toml:"UniverseDomain"`
}

// CacheAzure is the table `runners.cache.azure`.
type CacheAzure struct {
	AccountName   string `toml:"AccountName"`
	AccountKey    string `toml:"AccountKey"`
	ContainerName string `toml:"ContainerName"`
	StorageDomain string `toml:"StorageDomain"`
}
