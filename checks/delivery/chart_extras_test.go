package delivery

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A migration talks to the same database as the server, so it needs the same files and variables.
func TestChartExtras(t *testing.T) {
	t.Parallel()
	r := renderValues(t, everything(t))
	for _, pod := range podSpecs(t, r) {
		for _, volume := range []string{"secrets", "database-ca", "jwks"} {
			if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == volume }) {
				t.Errorf("a pod lacks volume %s", volume)
			}
		}
	}
	for _, c := range containers(t, r) {
		want := []corev1.VolumeMount{
			{Name: "secrets", MountPath: "/etc/sellio-cart", ReadOnly: true},
			{Name: "database-ca", MountPath: "/etc/database-ca", ReadOnly: true},
			{Name: "jwks", MountPath: "/etc/jwks", ReadOnly: true},
		}
		if diff := cmp.Diff(want, c.VolumeMounts); diff != "" {
			t.Errorf("container %s mounts (-want +got):\n%s", c.Name, diff)
		}
		if !slices.Contains(c.Env, corev1.EnvVar{Name: "HTTPS_PROXY", Value: "http://proxy:3128"}) {
			t.Errorf("container %s lacks HTTPS_PROXY", c.Name)
		}
		const image = "registry.example.com/sellio-cart@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		if c.Image != image || c.ImagePullPolicy != corev1.PullAlways {
			t.Errorf("container %s: image %s is pulled %s", c.Name, c.Image, c.ImagePullPolicy)
		}
	}
}

func TestChartPlacesAllPods(t *testing.T) {
	t.Parallel()
	r := renderValues(t, everything(t))
	server, job, test := only[*appsv1.Deployment](t, r), only[*batchv1.Job](t, r), only[*corev1.Pod](t, r)
	for name, pod := range map[string]corev1.PodTemplateSpec{
		"server": server.Spec.Template, "migration": job.Spec.Template, "test": {ObjectMeta: test.ObjectMeta, Spec: test.Spec},
	} {
		if pod.Labels["team"] != "shop" || pod.Labels["app.kubernetes.io/component"] != name {
			t.Errorf("%s: labels = %v", name, pod.Labels)
		}
		if pod.Annotations["sidecar.istio.io/inject"] != "false" {
			t.Errorf("%s: annotations = %v", name, pod.Annotations)
		}
		want := corev1.PodSpec{
			PriorityClassName: "shop-critical", ServiceAccountName: "shop",
			NodeSelector:     map[string]string{"disk": "ssd"},
			Tolerations:      []corev1.Toleration{{Key: "shop", Operator: corev1.TolerationOpExists}},
			ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}},
		}
		got := corev1.PodSpec{
			PriorityClassName: pod.Spec.PriorityClassName, ServiceAccountName: pod.Spec.ServiceAccountName,
			NodeSelector: pod.Spec.NodeSelector, Tolerations: pod.Spec.Tolerations,
			ImagePullSecrets: pod.Spec.ImagePullSecrets,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestChartServiceAccount(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		created []string
		used    string
	}{
		"defaults":        {[]string{"cart-sellio-cart"}, "cart-sellio-cart"},
		"own account":     {nil, "shop"},
		"default account": {nil, "default"},
	} {
		r := render(t, variants[name])
		var created []string
		for _, account := range all[*corev1.ServiceAccount](r) {
			created = append(created, account.Name)
		}
		if diff := cmp.Diff(want.created, created); diff != "" {
			t.Errorf("%s: created (-want +got):\n%s", name, diff)
		}
		for _, pod := range append(podSpecs(t, r), only[*corev1.Pod](t, r).Spec) {
			if pod.ServiceAccountName != want.used {
				t.Errorf("%s: a pod uses %q, want %q", name, pod.ServiceAccountName, want.used)
			}
		}
	}
	account := only[*corev1.ServiceAccount](t, renderValues(t, everything(t)))
	if account.Name != "shop" || account.Annotations["eks.amazonaws.com/role-arn"] == "" {
		t.Errorf("account %s has annotations %v", account.Name, account.Annotations)
	}
}

func TestChartServiceAnnotations(t *testing.T) {
	t.Parallel()
	got := map[string]map[string]string{}
	for _, s := range all[*corev1.Service](renderValues(t, everything(t))) {
		got[s.Name] = s.Annotations
	}
	want := map[string]map[string]string{
		"shop-cart":       {"example.com/load-balancer": "internal"},
		"shop-cart-grpc":  {"example.com/protocol": "grpc"},
		"shop-cart-admin": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("annotations of the Services (-want +got):\n%s", diff)
	}
}

// restService returns the Service of REST and its only port.
func restService(t *testing.T, r *rendered) (string, corev1.ServicePort) {
	t.Helper()
	for _, s := range all[*corev1.Service](r) {
		if len(s.Spec.Ports) == 1 && s.Spec.Ports[0].Name == "http" {
			return s.Name, s.Spec.Ports[0]
		}
	}
	t.Fatal("no Service has the port http alone")
	return "", corev1.ServicePort{}
}

func TestChartIngress(t *testing.T) {
	t.Parallel()
	r := renderValues(t, everything(t))
	service, port := restService(t, r)
	ingress := only[*networkingv1.Ingress](t, r)
	if ingress.Annotations["nginx.ingress.kubernetes.io/backend-protocol"] != "HTTPS" {
		t.Errorf("annotations = %v", ingress.Annotations)
	}
	rule := func(host string) networkingv1.IngressRule {
		backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
			Name: service, Port: networkingv1.ServiceBackendPort{Name: port.Name},
		}}
		return networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{
				{Path: "/", PathType: new(networkingv1.PathTypePrefix), Backend: backend},
			}},
		}}
	}
	want := networkingv1.IngressSpec{
		IngressClassName: new("nginx"),
		TLS:              []networkingv1.IngressTLS{{Hosts: []string{"shop.example.com"}, SecretName: "edge-tls"}},
		Rules:            []networkingv1.IngressRule{rule("shop.example.com"), rule("*.shop.example.com")},
	}
	if diff := cmp.Diff(want, ingress.Spec); diff != "" {
		t.Errorf("Ingress (-want +got):\n%s", diff)
	}

	plain := only[*networkingv1.Ingress](t, render(t, "ingress.enabled=true,ingress.hosts={shop.example.com}")).Spec
	if plain.IngressClassName != nil || plain.TLS != nil || plain.Rules[0].HTTP.Paths[0].Path != "/api/v1" {
		t.Errorf("Ingress by default: %+v, want the API alone", plain)
	}
}

func TestChartHTTPRoute(t *testing.T) {
	t.Parallel()
	r := renderValues(t, everything(t))
	service, port := restService(t, r)
	route := only[*gatewayv1.HTTPRoute](t, r)
	if route.Annotations["example.com/owner"] != "shop" {
		t.Errorf("annotations = %v", route.Annotations)
	}
	parent := gatewayv1.ParentReference{
		Name: "public", Namespace: new(gatewayv1.Namespace("gateways")), SectionName: new(gatewayv1.SectionName("https")),
	}
	backend := gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(service), Port: new(port.Port)}
	want := gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{parent}},
		Hostnames:       []gatewayv1.Hostname{"shop.example.com"},
		Rules: []gatewayv1.HTTPRouteRule{{
			Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{
				Type: new(gatewayv1.PathMatchPathPrefix), Value: new("/shop/api/v1"),
			}}},
			Filters: []gatewayv1.HTTPRouteFilter{{
				Type: gatewayv1.HTTPRouteFilterURLRewrite,
				URLRewrite: &gatewayv1.HTTPURLRewriteFilter{Path: &gatewayv1.HTTPPathModifier{
					Type: gatewayv1.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: new("/api/v1"),
				}},
			}},
			BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: backend}}},
		}},
	}
	if diff := cmp.Diff(want, route.Spec); diff != "" {
		t.Errorf("HTTPRoute (-want +got):\n%s", diff)
	}

	rule := only[*gatewayv1.HTTPRoute](t, render(t, "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public")).Spec.Rules[0]
	if *rule.Matches[0].Path.Value != "/api/v1" || rule.Filters != nil {
		t.Errorf("HTTPRoute by default: %+v, want the API alone", rule)
	}
}

// helm test asks for readiness through the Service, by the scheme of its port.
func TestChartTestPod(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, r *rendered) {
		hook := hookOf(t, r, "Pod")
		if diff := cmp.Diff([]release.HookEvent{release.HookTest}, hook.Events); diff != "" {
			t.Errorf("the pod runs at (-want +got):\n%s", diff)
		}
		pod := only[*corev1.Pod](t, r).Spec
		if pod.RestartPolicy != corev1.RestartPolicyNever || len(pod.Containers) != 1 {
			t.Fatalf("pod = %+v, want one container that ends", pod)
		}
		service, port := restService(t, r)
		url := *port.AppProtocol + "://" + service + ":" + strconv.Itoa(int(port.Port)) + "/readyz"
		args := pod.Containers[0].Args
		if args[len(args)-1] != url || !slices.Contains(args, "--fail") {
			t.Errorf("curl %q, want it to fail unless %s answers", args, url)
		}
	})
	image := only[*corev1.Pod](t, render(t, "")).Spec.Containers[0].Image
	if !strings.Contains(image, "@sha256:") {
		t.Errorf("image %s is not pinned", image)
	}
}
