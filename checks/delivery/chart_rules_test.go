package delivery

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// podSpecs returns the pods that the chart starts: the server's, and the migration's if there is one.
func podSpecs(t *testing.T, r *rendered) []corev1.PodSpec {
	t.Helper()
	pods := []corev1.PodSpec{only[*appsv1.Deployment](t, r).Spec.Template.Spec}
	for _, job := range all[*batchv1.Job](r) {
		pods = append(pods, job.Spec.Template.Spec)
	}
	return pods
}

func containers(t *testing.T, r *rendered) []corev1.Container {
	t.Helper()
	var found []corev1.Container
	for _, pod := range podSpecs(t, r) {
		found = append(found, slices.Concat(pod.InitContainers, pod.Containers)...)
	}
	return found
}

// databaseRef returns where a container reads DATABASE_URL.
func databaseRef(t *testing.T, c corev1.Container) corev1.SecretKeySelector {
	t.Helper()
	for _, e := range c.Env {
		if e.Name == "DATABASE_URL" && e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			return *e.ValueFrom.SecretKeyRef
		}
	}
	t.Fatalf("container %s reads DATABASE_URL from no Secret", c.Name)
	return corev1.SecretKeySelector{}
}

func TestChartDatabaseSecret(t *testing.T) {
	t.Parallel()
	ref := func(name, key string) corev1.SecretKeySelector {
		return corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}
	}
	tests := map[string]corev1.SecretKeySelector{
		"defaults":       ref("sellio-cart-database", "DATABASE_URL"),
		"other secret":   ref("shop-db", "uri"),
		"database url":   ref("cart-sellio-cart-database", "DATABASE_URL"),
		"migrations off": ref("sellio-cart-database", "DATABASE_URL"),
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range containers(t, render(t, variants[name])) {
				if diff := cmp.Diff(want, databaseRef(t, c)); diff != "" {
					t.Errorf("container %s (-want +got):\n%s", c.Name, diff)
				}
			}
		})
	}
}

func TestChartMakesSecretFromURLOnly(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		server := only[*appsv1.Deployment](t, r).Spec.Template.Spec.Containers[0]
		ref := databaseRef(t, server)
		for _, s := range all[*corev1.Secret](r) {
			if s.Name != ref.Name {
				t.Errorf("Secret %s is not the one that is read, %s", s.Name, ref.Name)
			}
			if len(s.Data) != 0 || len(s.StringData) != 1 || !strings.Contains(s.StringData[ref.Key], "s3cret") {
				t.Errorf("Secret holds %v and %v, want the URL under %s only", s.Data, s.StringData, ref.Key)
			}
		}
	})

	url := "postgresql://shop:s3cret@db:5432/cart"
	r := render(t, "database.url="+url)
	if got := only[*corev1.Secret](t, r).StringData["DATABASE_URL"]; got != url {
		t.Errorf("DATABASE_URL = %q, want %q", got, url)
	}
	if n := len(all[*corev1.Secret](render(t, ""))); n != 0 {
		t.Errorf("%d Secrets without database.url, want none", n)
	}
}

func TestChartKeepsPasswordInSecret(t *testing.T) {
	t.Parallel()
	rel, err := install(t, values(t, variants["database url"]))
	if err != nil {
		t.Fatal(err)
	}
	docs := []string{rel.Info.Notes}
	for _, hook := range rel.Hooks {
		docs = append(docs, hook.Manifest)
	}
	for doc := range strings.SplitSeq(rel.Manifest, "\n---\n") {
		if !strings.Contains(doc, "kind: Secret\n") {
			docs = append(docs, doc)
		}
	}
	for _, doc := range docs {
		if strings.Contains(doc, "s3cret") {
			t.Errorf("the password stands in\n%s", doc)
		}
	}
}

func TestChartSelectors(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		deployment := only[*appsv1.Deployment](t, r)
		selectors := map[string]map[string]string{
			"Deployment":          deployment.Spec.Selector.MatchLabels,
			"PodDisruptionBudget": only[*policyv1.PodDisruptionBudget](t, r).Spec.Selector.MatchLabels,
		}
		for _, s := range all[*corev1.Service](r) {
			selectors["Service "+s.Name] = s.Spec.Selector
		}
		for name, selector := range selectors {
			if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(deployment.Spec.Template.Labels)) {
				t.Errorf("%s selects %v, not the server's pods", name, selector)
			}
			for _, job := range all[*batchv1.Job](r) {
				if labels.SelectorFromSet(selector).Matches(labels.Set(job.Spec.Template.Labels)) {
					t.Errorf("%s selects the migration's pods too", name)
				}
			}
			if labels.SelectorFromSet(selector).Matches(labels.Set(only[*corev1.Pod](t, r).Labels)) {
				t.Errorf("%s selects the pod of helm test too", name)
			}
		}
	})
}

func TestChartServices(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		ports := map[string]int32{}
		for _, p := range only[*appsv1.Deployment](t, r).Spec.Template.Spec.Containers[0].Ports {
			ports[p.Name] = p.ContainerPort
		}
		var targets []int32
		for _, s := range all[*corev1.Service](r) {
			if errs := validation.IsDNS1035Label(s.Name); errs != nil {
				t.Errorf("Service name %q: %v", s.Name, errs)
			}
			for _, p := range s.Spec.Ports {
				targets = append(targets, ports[p.TargetPort.StrVal])
			}
		}
		slices.Sort(targets)
		want := []int32{8080, 50051}
		if len(all[*monitoringv1.ServiceMonitor](r)) > 0 { // without a ServiceMonitor the admin port is not exposed
			want = []int32{8080, 9090, 50051}
		}
		if diff := cmp.Diff(want, targets); diff != "" {
			t.Errorf("container ports behind the Services (-want +got):\n%s", diff)
		}
	})
	for _, s := range all[*corev1.Service](render(t, variants["headless gRPC"])) {
		if headless := s.Spec.ClusterIP == corev1.ClusterIPNone; headless != strings.HasSuffix(s.Name, "-grpc") {
			t.Errorf("Service %s: headless = %v", s.Name, headless)
		}
	}
}

func TestChartMigration(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"defaults", "database url", "placement"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, variants[name])
			checkMigrationHook(t, r)
			pod := only[*appsv1.Deployment](t, r).Spec.Template.Spec
			job := only[*batchv1.Job](t, r).Spec
			if job.BackoffLimit == nil || job.ActiveDeadlineSeconds == nil {
				t.Error("the Job may try for ever")
			}
			for _, c := range slices.Concat(pod.InitContainers, job.Template.Spec.Containers) {
				if diff := cmp.Diff([]string{"migrate", "up"}, c.Args); diff != "" {
					t.Errorf("container %s (-want +got):\n%s", c.Name, diff)
				}
				if c.Image != pod.Containers[0].Image {
					t.Errorf("container %s runs %s, the server runs %s", c.Name, c.Image, pod.Containers[0].Image)
				}
			}
		})
	}

	r := render(t, variants["migrations off"])
	if n := len(all[*batchv1.Job](r)) + len(only[*appsv1.Deployment](t, r).Spec.Template.Spec.InitContainers); n != 0 {
		t.Errorf("%d migrations although they are off", n)
	}
}

// hookOf returns the hook of a kind, of which there must be exactly one.
func hookOf(t *testing.T, r *rendered, kind string) *release.Hook {
	t.Helper()
	found := slices.DeleteFunc(slices.Clone(r.hooks), func(h *release.Hook) bool { return h.Kind != kind })
	if len(found) != 1 {
		t.Fatalf("%d hooks are a %s, want one", len(found), kind)
	}
	return found[0]
}

func checkMigrationHook(t *testing.T, r *rendered) {
	t.Helper()
	hook := hookOf(t, r, "Job")
	if diff := cmp.Diff([]release.HookEvent{release.HookPostInstall, release.HookPostUpgrade}, hook.Events); diff != "" {
		t.Errorf("the Job runs at (-want +got):\n%s", diff)
	}
	deleted := []release.HookDeletePolicy{release.HookBeforeHookCreation, release.HookSucceeded}
	if diff := cmp.Diff(deleted, hook.DeletePolicies); diff != "" {
		t.Errorf("the Job is deleted at (-want +got):\n%s", diff)
	}
}

func TestChartPodSecurity(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		for _, account := range all[*corev1.ServiceAccount](r) {
			if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
				t.Error("the ServiceAccount's token is mounted")
			}
		}
		for _, pod := range append(podSpecs(t, r), only[*corev1.Pod](t, r).Spec) {
			if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
				t.Error("a pod mounts its account's token")
			}
			want := &corev1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			}
			if diff := cmp.Diff(want, pod.SecurityContext); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
		}
		for _, c := range append(containers(t, r), only[*corev1.Pod](t, r).Spec.Containers...) {
			want := &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				ReadOnlyRootFilesystem:   new(true),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}
			if c.Name == "curl" { // whose image names its user
				want.RunAsUser = new(int64(65532))
			}
			if diff := cmp.Diff(want, c.SecurityContext); diff != "" {
				t.Errorf("container %s (-want +got):\n%s", c.Name, diff)
			}
		}
	})
}

func TestChartMemory(t *testing.T) {
	t.Parallel()
	for _, c := range containers(t, render(t, "")) {
		limit := c.Resources.Limits.Memory().Value()
		if limit != 256<<20 {
			t.Errorf("container %s: memory limit %d, want 256Mi", c.Name, limit)
		}
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
		if i < 0 {
			t.Fatalf("container %s has no GOMEMLIMIT", c.Name)
		}
		// Go writes 115MiB where Kubernetes writes 115Mi.
		soft, err := resource.ParseQuantity(strings.TrimSuffix(c.Env[i].Value, "B"))
		if err != nil {
			t.Fatal(err)
		}
		if v := soft.Value(); v < limit*80/100 || v > limit*95/100 {
			t.Errorf("container %s: GOMEMLIMIT %s is not 80 to 95 %% of the limit", c.Name, c.Env[i].Value)
		}
	}
}

// The admin port has connections of its own and no TLS, so neither clients nor certificates make a probe fail.
func TestChartProbes(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		server := only[*appsv1.Deployment](t, r).Spec.Template.Spec.Containers[0]
		for name, tt := range map[string]struct {
			probe *corev1.Probe
			path  string
		}{
			"startup": {server.StartupProbe, "/healthz"}, "liveness": {server.LivenessProbe, "/healthz"},
			"readiness": {server.ReadinessProbe, "/readyz"},
		} {
			want := &corev1.HTTPGetAction{Path: tt.path, Port: intstr.FromString("admin")}
			if tt.probe == nil || !cmp.Equal(want, tt.probe.HTTPGet) {
				t.Errorf("%s probe = %+v, want %+v", name, tt.probe, want)
			}
		}
	})

	set := "startupProbe.failureThreshold=7,livenessProbe.initialDelaySeconds=8,readinessProbe.periodSeconds=9"
	server := only[*appsv1.Deployment](t, render(t, set)).Spec.Template.Spec.Containers[0]
	got := []int32{
		server.StartupProbe.FailureThreshold, server.LivenessProbe.InitialDelaySeconds, server.ReadinessProbe.PeriodSeconds,
	}
	if diff := cmp.Diff([]int32{7, 8, 9}, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", set, diff)
	}
}

// A pod that is killed before SHUTDOWN_TIMEOUT is over drops the requests under way.
func TestChartShutdown(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		pod := only[*appsv1.Deployment](t, r).Spec.Template.Spec
		needed, err := time.ParseDuration(only[*corev1.ConfigMap](t, r).Data["SHUTDOWN_TIMEOUT"])
		if err != nil {
			t.Fatal(err)
		}
		if l := pod.Containers[0].Lifecycle; l != nil {
			needed += time.Duration(l.PreStop.Sleep.Seconds) * time.Second
		}
		if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace <= needed {
			t.Errorf("killed after %v, needs %v", grace, needed)
		}
	})
}

func TestChartRollsPodsOnChange(t *testing.T) {
	t.Parallel()
	annotations := func(set string) map[string]string {
		return only[*appsv1.Deployment](t, render(t, set)).Spec.Template.Annotations
	}
	const url = "database.url=postgresql://db/one"
	if diff := cmp.Diff(annotations(url), annotations(url)); diff != "" {
		t.Errorf("the same values roll the pods:\n%s", diff)
	}
	for _, changed := range []string{"database.url=postgresql://db/two", url + ",config.LOG_LEVEL=debug"} {
		if cmp.Equal(annotations(url), annotations(changed)) {
			t.Errorf("%s does not roll the pods", changed)
		}
	}
}
