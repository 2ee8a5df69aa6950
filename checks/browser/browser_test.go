package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is the time that the browser may take for a whole test.
const patience = 2 * time.Minute

// open starts a browser for the test, which fails if a page contacts any host but the service, or if the browser
// reports an error.
func open(t *testing.T, service string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("headless", "new"),
		chromedp.NoSandbox, // the sandbox does not work for root
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1280, 2000),
	)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	// Listen starts the browser.
	if err := chromedp.Listen(ctx, func(event any) { watch(t, service, event) }); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return ctx
}

// watch fails the test if an event shows that something went wrong on a page.
func watch(t *testing.T, service string, event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || strings.HasPrefix(u.Scheme, "http") && u.Scheme+"://"+u.Host != service {
			t.Errorf("the page asks another host: %s", e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		t.Errorf("a script failed: %+v", e.ExceptionDetails)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			t.Errorf("the browser reports: %s %s", e.Entry.Text, e.Entry.URL)
		}
	}
}

// do takes the steps of a person on the page.
func do(ctx context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// text returns the text of an element of the page, as soon as it is there.
func text(ctx context.Context, t *testing.T, element string) string {
	t.Helper()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(element), chromedp.NodeVisible))
	if err != nil {
		t.Fatalf("%s: %v", element, err)
	}
	return text
}

// TestTryItOut adds an item to a cart with Swagger UI's "Try it out", and sees it in the cart, there and outside.
func TestTryItOut(t *testing.T) {
	t.Parallel()
	service := startService(t)
	ctx := open(t, service)
	add := operation("lines", "addItem")
	do(ctx, t, chromedp.Navigate(service+"/docs"), add.unfold())
	status, answer := add.execute(ctx, t)
	const item = `"name": "Green tea, 100 g"`
	id := regexp.MustCompile(`"id": (\d+)`).FindStringSubmatch(answer)
	if status != "201" || id == nil || !strings.Contains(answer, item) {
		t.Fatalf("add-item answers %s:\n%s", status, answer)
	}
	get := operation("carts", "getCart")
	do(ctx, t, get.unfold(), get.fill("cart_id", id[1]))
	if status, answer := get.execute(ctx, t); status != "200" || !strings.Contains(answer, item) {
		t.Errorf("the cart is shown with %s:\n%s", status, answer)
	}

	resp, err := http.Get(service + "/api/v1/cart/" + id[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var cart struct{ Items []struct{ Name string } }
	if err := json.NewDecoder(resp.Body).Decode(&cart); err != nil || len(cart.Items) != 1 || cart.Items[0].Name != "Green tea, 100 g" {
		t.Errorf("the cart is %+v (%v)", cart, err)
	}
}

// TestReDoc opens the other page.
func TestReDoc(t *testing.T) {
	t.Parallel()
	service := startService(t)
	ctx := open(t, service)
	do(ctx, t, chromedp.Navigate(service+"/redoc"), chromedp.WaitVisible(chromedp.CSS(`[id="tag/lines/operation/addItem"]`)))
	if shown := text(ctx, t, "body"); !strings.Contains(shown, "/api/v1/cart/add-item") {
		t.Errorf("the page shows:\n%s", shown)
	}
}

// block is where Swagger UI shows an operation: a selector.
type block string

func operation(tag, id string) block { return block("#operations-" + tag + "-" + id) }

func (b block) unfold() chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(b+" .opblock-summary-control"), chromedp.NodeVisible)
}

// fill types a parameter over its old value.
func (b block) fill(param, value string) chromedp.Action[chromedp.Void] {
	input := fmt.Sprintf("%s tr[data-param-name=%q] input", b, param)
	return chromedp.Steps(
		chromedp.WaitVisible(chromedp.CSS(input)),
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select()", input))(ctx, target)
			return err
		}),
		chromedp.SendKeys(chromedp.CSS(input), value),
	)
}

// execute sends the request, and returns status and body of the answer.
func (b block) execute(ctx context.Context, t *testing.T) (status, answer string) {
	t.Helper()
	do(ctx, t, chromedp.Click(chromedp.CSS(b+" button.execute"), chromedp.NodeVisible))
	shown := string(b) + " .live-responses-table tbody "
	return text(ctx, t, shown+"td.response-col_status"), text(ctx, t, shown+"td.response-col_description")
}
