package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// compose reads compose.yaml as `docker compose` does; a field that its schema does not know is an error.
func compose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{root + "/compose.yaml"}, cli.WithEnv([]string{"VERSION=1.2.3"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func service(t *testing.T, name string) types.ServiceConfig {
	t.Helper()
	s, err := compose(t).GetService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func environment(s types.ServiceConfig) map[string]string {
	env := map[string]string{}
	for name, value := range s.Environment {
		if value != nil {
			env[name] = *value
		}
	}
	return env
}

// ports maps published ports to those of the container.
func ports(s types.ServiceConfig) map[string]uint32 {
	found := map[string]uint32{}
	for _, p := range s.Ports {
		found[p.Published] = p.Target
	}
	return found
}

func TestComposeDatabase(t *testing.T) {
	t.Parallel()
	db := service(t, "cart-db")
	if diff := cmp.Diff(map[string]uint32{"5433": 5432}, ports(db)); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	want := map[string]string{"POSTGRES_USER": "user_cart", "POSTGRES_PASSWORD": "pass", "POSTGRES_DB": "cart"}
	if diff := cmp.Diff(want, environment(db)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if db.HealthCheck == nil || !slices.Contains(db.HealthCheck.Test, "pg_isready") {
		t.Errorf("health check = %+v, want pg_isready", db.HealthCheck)
	}
	if len(db.Volumes) != 1 || db.Volumes[0].Type != types.VolumeTypeVolume || db.Volumes[0].Target != "/var/lib/postgresql/data" {
		t.Errorf("volumes = %+v, want a named one for the data", db.Volumes)
	}
}

func TestComposeService(t *testing.T) {
	t.Parallel()
	cart := service(t, "sellio-cart")
	if diff := cmp.Diff(map[string]uint32{"8081": 8080, "50052": 50051, "9091": 9090}, ports(cart)); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"APP_ENV":      "local",
		"AUTO_MIGRATE": "true",
		"DATABASE_URL": "postgresql://user_cart:pass@cart-db:5432/cart?sslmode=disable",
	}
	if diff := cmp.Diff(want, environment(cart)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	for _, p := range cart.Ports {
		if p.Target == 9090 && p.HostIP != "127.0.0.1" {
			t.Errorf("profiles can be read at %q, by other machines too", p.HostIP)
		}
	}
	if c := cart.DependsOn["cart-db"].Condition; c != types.ServiceConditionHealthy {
		t.Errorf("waits for cart-db to be %q, want %q", c, types.ServiceConditionHealthy)
	}
	if cart.StopGracePeriod == nil || time.Duration(*cart.StopGracePeriod) <= 15*time.Second {
		t.Errorf("stop grace period = %v, want more than the default SHUTDOWN_TIMEOUT of 15s", cart.StopGracePeriod)
	}
}

func TestComposeBuildsTheDockerfile(t *testing.T) {
	t.Parallel()
	build := service(t, "sellio-cart").Build
	if build == nil || build.Dockerfile != "Dockerfile" || *build.Args["VERSION"] != "1.2.3" {
		t.Errorf("build = %+v, want the Dockerfile with the VERSION of the environment", build)
	}
}

func TestComposeServiceIsLockedDown(t *testing.T) {
	t.Parallel()
	cart := service(t, "sellio-cart")
	if !cart.ReadOnly {
		t.Error("the root file system can be written")
	}
	if diff := cmp.Diff([]string{"ALL"}, cart.CapDrop); diff != "" {
		t.Errorf("cap_drop (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"no-new-privileges:true"}, cart.SecurityOpt); diff != "" {
		t.Errorf("security_opt (-want +got):\n%s", diff)
	}
}
