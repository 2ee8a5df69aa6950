package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	root  = "../.."
	chart = root + "/helm"
)

// jwt is AUTH_MODE=jwt with everything that it needs but the keys.
const jwt = "config.AUTH_MODE=jwt,config.AUTH_JWT_ISSUER=shop,config.AUTH_JWT_AUDIENCE=cart"

// variants are sets of values, each as `helm --set` takes it.
var variants = map[string]string{
	"defaults":            "",
	"database url":        "database.url=postgresql://shop:s3cret@db:5432/cart",
	"today's url":         "database.url=postgresql+asyncpg://shop:s3cret@db:5432/cart",
	"other secret":        "database.existingSecret.name=shop-db,database.existingSecret.key=uri",
	"migrations off":      "migration.enabled=false",
	"headless gRPC":       "service.grpc.headless=true",
	"no shutdown delay":   "shutdown.delaySeconds=0,shutdown.timeoutSeconds=60",
	"long name":           "fullnameOverride=" + strings.Repeat("n", 80),
	"tuning":              "config.WRITE_LANES=4,config.BATCH_SIZE=128,config.QUEUE_SIZE=1000000",
	"part of other chart": "global.region=eu",
	"two roles":           "database.migrationSecret.name=shop-owner",
	"tokens":              "config.AUTH_MODE=token,auth.tokensSecret.name=shop-tokens",
	"TLS":                 "tls.secretName=shop-tls,tls.clientCASecretName=shop-ca",
	"users":               jwt + ",config.AUTH_JWKS=https://shop.example/jwks.json",
	"files": jwt + ",config.AUTH_JWKS=/etc/jwks/keys.json,extraVolumes[0].name=jwks,extraVolumes[0].configMap.name=shop-jwks," +
		"extraVolumeMounts[0].name=jwks,extraVolumeMounts[0].mountPath=/etc/jwks,extraVolumeMounts[0].readOnly=true",
	"digest":          "image.digest=sha256:" + strings.Repeat("0a", 32),
	"own account":     "serviceAccount.create=false,serviceAccount.name=shop",
	"default account": "serviceAccount.create=false",
	"traces":          "otel.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318",
	"autoscaling":     "autoscaling.enabled=true",
	"monitoring": "monitoring.serviceMonitor.enabled=true,monitoring.serviceMonitor.labels.release=prom," +
		"monitoring.prometheusRule.enabled=true,monitoring.prometheusRule.labels.release=prom",
	"network policy": "networkPolicy.enabled=true",
	"narrow network policy": "networkPolicy.enabled=true,otel.OTEL_SERVICE_NAME=cart,networkPolicy.database.port=6432," +
		"networkPolicy.clients[0].podSelector.matchLabels.app=web,networkPolicy.monitoring[0].namespaceSelector.matchLabels.name=monitoring," +
		"networkPolicy.database.peers[0].ipBlock.cidr=10.0.0.0/8,networkPolicy.extraEgress[0].ports[0].port=443",
	"placement": "nodeSelector.disk=ssd,tolerations[0].key=shop,tolerations[0].operator=Exists," +
		"imagePullSecrets[0].name=ghcr,podAnnotations.team=cart,image.tag=2.0.0," +
		"topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone," +
		"topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway," +
		"affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1," +
		"affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey=zone",
}

// rendered is the chart as a cluster would get it.
type rendered struct {
	objects []runtime.Object // hooks included
	hooks   []*release.Hook
}

func TestChartLint(t *testing.T) {
	t.Parallel()
	lint := func(t *testing.T, vals map[string]any) {
		t.Parallel()
		result := action.NewLint().Run([]string{chart}, vals)
		if result.TotalChartsLinted != 1 {
			t.Errorf("charts linted = %d, want 1", result.TotalChartsLinted)
		}
		for _, err := range result.Errors {
			t.Error(err)
		}
		for _, m := range result.Messages {
			if m.Severity >= support.WarningSev {
				t.Error(m)
			}
		}
	}
	for name, set := range variants {
		t.Run(name, func(t *testing.T) { lint(t, values(t, set)) })
	}
	t.Run("everything", func(t *testing.T) { lint(t, everything(t)) })
}

// badValues are values that could not work, each with the text that the error must contain.
var badValues = map[string]struct{ set, want string }{
	"no database": {
		"database.existingSecret.name=",
		"sellio-cart needs a database: set database.url or database.existingSecret.name",
	},
	"no database, no migrations": {
		"database.existingSecret.name=,migration.enabled=false",
		"sellio-cart needs a database: set database.url or database.existingSecret.name",
	},
	"not PostgreSQL":            {"database.url=mysql://shop:s3cret@db/cart", "database.url must start with postgresql://"},
	"unknown value":             {"databse.url=postgresql://db", "databse"},
	"unknown setting":           {"config.LOG_LEVL=debug", "LOG_LEVL"},
	"bad log level":             {"config.LOG_LEVEL=loud", "LOG_LEVEL"},
	"bad duration":              {"config.REQUEST_TIMEOUT=5", "REQUEST_TIMEOUT"},
	"setting of the chart":      {"config.HTTP_PORT=9000", "HTTP_PORT"},
	"password as setting":       {"config.DATABASE_URL=postgresql://db", "DATABASE_URL"},
	"token mode without tokens": {"config.AUTH_MODE=token", "set auth.tokensSecret.name"},
	"tokens without a mode":     {"auth.tokensSecret.name=tokens", "set config.AUTH_MODE"},
	"client CA without TLS":     {"tls.clientCASecretName=ca", "/tls/secretName"},
	"not of OpenTelemetry":      {"otel.LOG_LEVEL=debug", "LOG_LEVEL"},
	"jwt mode without settings": {
		"config.AUTH_MODE=jwt",
		"config.AUTH_MODE is jwt: set config.AUTH_JWT_ISSUER, config.AUTH_JWT_AUDIENCE, config.AUTH_JWKS",
	},
	"jwt mode without keys": {
		"config.AUTH_MODE=jwt,config.AUTH_JWT_ISSUER=shop,config.AUTH_JWT_AUDIENCE=cart", "jwt: set config.AUTH_JWKS",
	},
	"issuer without a mode": {"config.AUTH_JWT_ISSUER=shop", "config.AUTH_JWT_ISSUER is set: set config.AUTH_MODE"},
	"keys in a file that is not mounted": {
		jwt + ",config.AUTH_JWKS=/etc/jwks/keys.json,extraVolumeMounts[0].name=jwks,extraVolumeMounts[0].mountPath=/etc/jwk",
		"config.AUTH_JWKS is /etc/jwks/keys.json: mount that file",
	},
	"keys in nothing":          {jwt + ",config.AUTH_JWKS=ftp://shop/keys", "config.AUTH_JWKS is ftp://shop/keys"},
	"blank in APP_ENV":         {"config.APP_ENV=my prod", "/config/APP_ENV"},
	"too long a shutdown":      {"shutdown.timeoutSeconds=601", "/shutdown/timeoutSeconds"},
	"database in extraEnv":     {"extraEnv[0].name=DATABASE_URL", "extraEnv sets DATABASE_URL"},
	"port in extraEnv":         {"extraEnv[0].name=ADMIN_PORT", "extraEnv sets ADMIN_PORT"},
	"admin port on loopback":   {"extraEnv[0].name=ADMIN_ADDRESS", "extraEnv sets ADMIN_ADDRESS"},
	"mode in extraEnv":         {"extraEnv[0].name=AUTH_MODE", "extraEnv sets AUTH_MODE"},
	"selector in podLabels":    {`podLabels.app\.kubernetes\.io/component=x`, "podLabels sets app.kubernetes.io/component"},
	"name in podLabels":        {`podLabels.app\.kubernetes\.io/name=x`, "podLabels sets app.kubernetes.io/name"},
	"no digest":                {"image.digest=latest", "/image/digest"},
	"handler of a probe":       {"livenessProbe.httpGet.port=http", "httpGet"},
	"Ingress without hosts":    {"ingress.enabled=true", "/ingress/hosts"},
	"HTTPRoute without parent": {"httpRoute.enabled=true", "/httpRoute/parentRefs"},
	"least above most":         {"autoscaling.enabled=true,autoscaling.minReplicas=9", "autoscaling.minReplicas is larger"},
	"nothing to scale by": {
		"autoscaling.enabled=true,resources.requests.cpu=null,resources.limits.cpu=null", "set resources.requests.cpu",
	},
	"headless NodePort": {"service.grpc.headless=true,service.grpc.type=NodePort", "/service/grpc/type"},
}

func TestChartRefusesBadValues(t *testing.T) {
	t.Parallel()
	for name, tt := range badValues {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := install(t, values(t, tt.set))
			if err == nil {
				t.Fatal("the chart took it")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %q shows the password", err)
			}
		})
	}
}

// eachVariant renders the chart with every set of values and runs check on the result.
func eachVariant(t *testing.T, check func(t *testing.T, r *rendered)) {
	t.Helper()
	for name, set := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, render(t, set))
		})
	}
	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		check(t, renderValues(t, everything(t)))
	})
}

// render renders the chart with values in the form that `helm --set` takes.
func render(t *testing.T, set string) *rendered {
	t.Helper()
	return renderValues(t, values(t, set))
}

// renderValues renders the chart and decodes every document; a field that Kubernetes does not know is an error.
func renderValues(t *testing.T, vals map[string]any) *rendered {
	t.Helper()
	rel, err := install(t, vals)
	if err != nil {
		t.Fatal(err)
	}
	r := &rendered{hooks: rel.Hooks}
	known := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(known), monitoringv1.AddToScheme(known), gatewayv1.Install(known)); err != nil {
		t.Fatal(err)
	}
	strict := serializer.NewCodecFactory(known, serializer.EnableStrict).UniversalDeserializer()
	decode := func(doc string) {
		obj, _, err := strict.Decode([]byte(doc), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		r.objects = append(r.objects, obj)
	}
	for _, doc := range releaseutil.SplitManifests(rel.Manifest) {
		decode(doc)
	}
	for _, hook := range rel.Hooks {
		decode(hook.Manifest)
	}
	return r
}

// install does what `helm template cart helm --namespace shop --values …` does.
func install(t *testing.T, vals map[string]any) (*release.Release, error) {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	i := action.NewInstall(new(action.Configuration))
	i.ClientOnly, i.DryRun = true, true
	i.ReleaseName, i.Namespace = "cart", "shop"
	return i.Run(c, vals)
}

func values(t *testing.T, set string) map[string]any {
	t.Helper()
	v, err := strvals.Parse(set)
	if err != nil {
		t.Fatalf("values %q: %v", set, err)
	}
	return v
}

// all returns the objects of type T.
func all[T runtime.Object](r *rendered) []T {
	var found []T
	for _, o := range r.objects {
		if x, ok := o.(T); ok {
			found = append(found, x)
		}
	}
	return found
}

// only returns the object of type T, of which there must be exactly one.
func only[T runtime.Object](t *testing.T, r *rendered) T {
	t.Helper()
	found := all[T](r)
	if len(found) != 1 {
		t.Fatalf("%s: rendered %d times, want once", strings.TrimPrefix(fmt.Sprintf("%T", *new(T)), "*"), len(found))
	}
	return found[0]
}
