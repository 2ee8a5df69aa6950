package delivery

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Optional parts are off by default.
func TestChartOptionsAreOff(t *testing.T) {
	t.Parallel()
	r := render(t, "")
	n := len(all[*autoscalingv2.HorizontalPodAutoscaler](r)) + len(all[*networkingv1.NetworkPolicy](r)) +
		len(all[*monitoringv1.ServiceMonitor](r)) + len(all[*monitoringv1.PrometheusRule](r)) +
		len(all[*networkingv1.Ingress](r)) + len(all[*gatewayv1.HTTPRoute](r))
	if n != 0 {
		t.Errorf("%d optional objects", n)
	}
}

// The role that serves cannot migrate, and the server does not get the role that migrates.
func TestChartMigratesAsTheOwner(t *testing.T) {
	t.Parallel()
	r := render(t, variants["two roles"])
	pod := only[*appsv1.Deployment](t, r).Spec.Template.Spec
	if got := databaseRef(t, pod.Containers[0]).Name; got != "sellio-cart-database" {
		t.Errorf("the server reads Secret %s", got)
	}
	for _, c := range slices.Concat(pod.InitContainers, only[*batchv1.Job](t, r).Spec.Template.Spec.Containers) {
		if got := databaseRef(t, c).Name; got != "shop-owner" {
			t.Errorf("container %s reads Secret %s", c.Name, got)
		}
	}
}

// TestChartMountsSecretFiles checks that each setting that names a file names one that a Secret provides.
func TestChartMountsSecretFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"defaults": {},
		"tokens":   {"AUTH_TOKENS_FILE": "shop-tokens"},
		"TLS":      {"TLS_CERT_FILE": "shop-tls", "TLS_KEY_FILE": "shop-tls", "GRPC_CLIENT_CA_FILE": "shop-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, variants[name])
			for _, pod := range podSpecs(t, r) {
				got := map[string]string{}
				files := secretFiles(t, pod)
				for setting, value := range only[*corev1.ConfigMap](t, r).Data {
					if strings.HasSuffix(setting, "_FILE") {
						got[setting] = files[value]
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("Secrets behind the files (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// secretFiles returns the Secrets that the containers of a pod find as files, by path.
func secretFiles(t *testing.T, pod corev1.PodSpec) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, volume := range pod.Volumes {
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume.Name })
			if i < 0 || !c.VolumeMounts[i].ReadOnly {
				t.Fatalf("container %s: the mount of %s is missing or can be written", c.Name, volume.Name)
			}
			for _, source := range volume.Projected.Sources {
				for _, item := range source.Secret.Items {
					files[path.Join(c.VolumeMounts[i].MountPath, item.Path)] = source.Secret.Name
				}
			}
		}
	}
	return files
}

func TestChartAutoscaler(t *testing.T) {
	t.Parallel()
	r := render(t, variants["autoscaling"])
	deployment, scaler := only[*appsv1.Deployment](t, r), only[*autoscalingv2.HorizontalPodAutoscaler](t, r)
	if deployment.Spec.Replicas != nil {
		t.Error("each upgrade sets the replicas back that the autoscaler has chosen")
	}
	want := autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: deployment.Name}
	if diff := cmp.Diff(want, scaler.Spec.ScaleTargetRef); diff != "" {
		t.Errorf("scales (-want +got):\n%s", diff)
	}
}

func TestChartSpreadsPods(t *testing.T) {
	t.Parallel()
	deployment := only[*appsv1.Deployment](t, render(t, ""))
	var keys []string
	for _, c := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
		keys = append(keys, c.TopologyKey)
		if c.WhenUnsatisfiable != corev1.ScheduleAnyway || !cmp.Equal(c.LabelSelector, deployment.Spec.Selector) {
			t.Errorf("constraint %+v, want the server's pods spread where that is possible", c)
		}
	}
	if diff := cmp.Diff([]string{corev1.LabelTopologyZone, corev1.LabelHostname}, keys); diff != "" {
		t.Errorf("spread over (-want +got):\n%s", diff)
	}
	set := only[*appsv1.Deployment](t, render(t, variants["placement"])).Spec.Template.Spec.TopologySpreadConstraints
	if len(set) != 1 || set[0].TopologyKey != "zone" {
		t.Errorf("constraints = %+v, want those of the values alone", set)
	}
}

func TestChartServiceMonitor(t *testing.T) {
	t.Parallel()
	r := render(t, variants["monitoring"])
	monitor := only[*monitoringv1.ServiceMonitor](t, r)
	if monitor.Labels["release"] != "prom" {
		t.Errorf("labels = %v, want those that the Prometheus selects by", monitor.Labels)
	}
	selector := labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels)
	var ports []string
	for _, s := range all[*corev1.Service](r) {
		if selector.Matches(labels.Set(s.Labels)) {
			for _, p := range s.Spec.Ports {
				ports = append(ports, p.Name)
			}
			if !s.Spec.PublishNotReadyAddresses || s.Spec.ClusterIP != corev1.ClusterIPNone {
				t.Errorf("Service %s: want it headless, and with the pods that are not ready", s.Name)
			}
		}
	}
	if len(monitor.Spec.Endpoints) != 1 || !slices.Equal(ports, []string{monitor.Spec.Endpoints[0].Port}) {
		t.Errorf("scrapes %+v of ports %q", monitor.Spec.Endpoints, ports)
	}
}

// The rules of the chart are those that checks/observability tests.
func TestChartPrometheusRule(t *testing.T) {
	t.Parallel()
	r := render(t, variants["monitoring"])
	rule := only[*monitoringv1.PrometheusRule](t, r)
	var want struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Record, Alert, Expr, For string
				Labels, Annotations      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(readFile(t, "deploy/prometheus/rules.yml"), &want); err != nil {
		t.Fatal(err)
	}
	if len(rule.Spec.Groups) != len(want.Groups) {
		t.Fatalf("%d groups, want %d", len(rule.Spec.Groups), len(want.Groups))
	}
	for i, group := range want.Groups {
		got := rule.Spec.Groups[i]
		if got.Name != group.Name || len(got.Rules) != len(group.Rules) {
			t.Errorf("group %s has %d rules, want %s with %d", got.Name, len(got.Rules), group.Name, len(group.Rules))
			continue
		}
		for j, w := range group.Rules {
			g := got.Rules[j]
			if g.Record != w.Record || g.Alert != w.Alert || g.Expr.StrVal != w.Expr || !cmp.Equal(g.Annotations, w.Annotations) {
				t.Errorf("rule %+v, want %+v", g, w)
			}
		}
	}
}

func TestChartNetworkPolicy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"network policy", "narrow network policy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, variants[name])
			policy := only[*networkingv1.NetworkPolicy](t, r).Spec
			selector, err := metav1.LabelSelectorAsSelector(&policy.PodSelector)
			if err != nil {
				t.Fatal(err)
			}
			pods := []map[string]string{
				only[*appsv1.Deployment](t, r).Spec.Template.Labels, only[*batchv1.Job](t, r).Spec.Template.Labels,
			}
			for _, pod := range pods {
				if !selector.Matches(labels.Set(pod)) {
					t.Errorf("does not apply to pods with %v", pod)
				}
			}
			if selector.Matches(labels.Set(only[*corev1.Pod](t, r).Labels)) {
				t.Error("keeps the pod of helm test from the Service")
			}
			types := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
			if diff := cmp.Diff(types, policy.PolicyTypes); diff != "" {
				t.Errorf("types (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChartNetworkPolicyRules(t *testing.T) {
	t.Parallel()
	wide := only[*networkingv1.NetworkPolicy](t, render(t, variants["network policy"])).Spec
	if len(wide.Ingress) != 1 || len(wide.Ingress[0].From) != 0 || portsOf(wide.Ingress[0].Ports) != "http grpc" {
		t.Errorf("ingress = %+v, want REST and gRPC for everybody, and nothing else", wide.Ingress)
	}
	if len(wide.Egress) != 2 || portsOf(wide.Egress[0].Ports) != "53 53" || portsOf(wide.Egress[1].Ports) != "5432" {
		t.Errorf("egress = %+v, want DNS and PostgreSQL", wide.Egress)
	}

	narrow := only[*networkingv1.NetworkPolicy](t, render(t, variants["narrow network policy"])).Spec
	var egress []string
	for _, rule := range narrow.Egress {
		egress = append(egress, portsOf(rule.Ports))
	}
	if diff := cmp.Diff([]string{"53 53", "6432", "4317 4318", "443"}, egress); diff != "" {
		t.Errorf("egress (-want +got):\n%s", diff)
	}
	if len(narrow.Egress[1].To) != 1 || len(narrow.Ingress) != 2 || portsOf(narrow.Ingress[1].Ports) != "admin" {
		t.Errorf("policy = %+v, want one peer for the database, and the admin port for monitoring", narrow)
	}
	test := labels.Set(only[*corev1.Pod](t, render(t, variants["narrow network policy"])).Labels)
	if from := narrow.Ingress[0].From; len(from) != 2 || !labels.SelectorFromSet(from[1].PodSelector.MatchLabels).Matches(test) {
		t.Errorf("REST and gRPC are open to %v, want one peer and the pod of helm test", from)
	}
	if from := narrow.Ingress[1].From; len(from) != 1 {
		t.Errorf("the admin port is open to %v, want one peer", from)
	}
}

// portsOf lists the ports of a rule.
func portsOf(ports []networkingv1.NetworkPolicyPort) string {
	var names []string
	for _, p := range ports {
		names = append(names, (*intstr.IntOrString)(p.Port).String())
	}
	return strings.Join(names, " ")
}
