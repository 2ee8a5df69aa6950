package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// record makes TestRecorded record the answers of the program of an older revision. It is for requests that are added to
// a set, and not for a test that fails: an answer that changes on purpose gets a part "now" by hand.
var record = flag.String("record", "", "a program of the revision to record, whose answers are written to the only set that -run chooses")

// recordedFiles holds a set for each recorded revision, which gives its file the name.
const recordedFiles = "testdata/recorded/*.txt"

// exchange is a request of a recorded set and its answer. In the file it looks like this:
//
//	=== what it is about
//	POST /api/v1/cart/upsert          or: gRPC UpsertCart
//	Header: value
//
//	body
//	--- then
//	the answer as recorded
//	--- now: why it is another
//	the answer of today, where it is another on purpose
//
// <cart N> is the N-th id of a cart that any answer shows, <cookie N> the N-th cookie that one sets, <time> any time.
type exchange struct {
	name, request, then, why, now string
}

// TestRecorded sends the requests of each recorded set, one after another, and compares the answers with what the service
// answered when the set was recorded. Headers that are new do not count.
func TestRecorded(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(recordedFiles)
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded sets: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			exchanges := readRecorded(t, file)
			if *record != "" {
				writeRecorded(t, file, recordAll(t, exchanges))
				return
			}
			onBoth(t, func(t *testing.T, url string) { replayAll(t, url, exchanges, oldHeaders) })
		})
	}
}

// recordAll returns the exchanges with the answers of the program to record.
func recordAll(t *testing.T, exchanges []exchange) []exchange {
	t.Helper()
	cmd := command(t, nil)
	cmd.Path = *record
	r := replay{shop: openShop(t, begin(t, cmd)), headers: oldHeaders}
	for i := range exchanges {
		exchanges[i].then = r.ask(exchanges[i].request)
	}
	return exchanges
}

// replayAll compares today's answers with the recorded ones.
func replayAll(t *testing.T, url string, exchanges []exchange, headers []string) {
	t.Helper()
	r := replay{shop: openShop(t, serve(t, "DATABASE_URL="+url)), headers: headers}
	for _, e := range exchanges {
		want := e.then
		if e.why != "" {
			want = e.now
		}
		if diff := cmp.Diff(want, r.ask(e.request)); diff != "" {
			t.Errorf("%s: the answer is another than was recorded (-recorded +now):\n%s", e.name, diff)
		}
	}
}

func readRecorded(t *testing.T, name string) (all []exchange) {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(string(file), "=== "), "\n=== ") {
		var e exchange
		e.name, part, _ = strings.Cut(part, "\n")
		part, now, _ := strings.Cut(part, "\n--- now: ")
		e.request, e.then, _ = strings.Cut(part, "\n--- then\n")
		e.why, e.now, _ = strings.Cut(now, "\n")
		for _, text := range []*string{&e.request, &e.then, &e.now} {
			*text = strings.TrimSuffix(*text, "\n")
		}
		all = append(all, e)
	}
	return all
}

func writeRecorded(t *testing.T, name string, all []exchange) {
	t.Helper()
	var file strings.Builder
	for _, e := range all {
		fmt.Fprintf(&file, "=== %s\n%s\n--- then\n%s\n", e.name, e.request, e.then)
		if e.why != "" {
			fmt.Fprintf(&file, "--- now: %s\n%s\n", e.why, e.now)
		}
		file.WriteString("\n")
	}
	if err := os.WriteFile(name, []byte(strings.TrimSuffix(file.String(), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replay sends recorded requests, and names the ids and cookies in the answers.
type replay struct {
	*shop
	carts, cookies []string
	headers        []string // that answers show
}

// oldHeaders are those that clients of the old contract look at.
var oldHeaders = []string{"Allow", "Cache-Control", "Content-Type", "Location", "Retry-After", "Set-Cookie"}

var (
	cartID    = regexp.MustCompile(`(?:"(?:id|from|into)":"?|Etag: "|Cart )(\d+)`)
	timestamp = regexp.MustCompile(`("(?:created_at|updated_at|locked_until)":)"[^"]*"`)
	setCookie = regexp.MustCompile(`sellio_cart=([^;]+);`)
	named     = regexp.MustCompile(`<(cart|cookie) (\d+)>`)
)

// ask returns the answer to a recorded request.
func (r *replay) ask(request string) string {
	r.Helper()
	request = named.ReplaceAllStringFunc(request, func(name string) string {
		var kind string
		var n int
		if _, err := fmt.Sscanf(strings.Trim(name, "<>"), "%s %d", &kind, &n); err != nil {
			r.Fatal(err)
		}
		known := r.carts
		if kind == "cookie" {
			known = r.cookies
		}
		if n > len(known) {
			return name // an earlier answer was not as recorded
		}
		return known[n-1]
	})
	if method, ok := strings.CutPrefix(request, "gRPC "); ok {
		method, body, _ := strings.Cut(method, "\n\n")
		return r.neutral(r.callRPC(method, body))
	}
	return r.neutral(r.callREST(request))
}

// neutral replaces what differs from run to run by names.
func (r *replay) neutral(answer string) string {
	answer = timestamp.ReplaceAllString(answer, `$1"<time>"`)
	for _, m := range setCookie.FindAllStringSubmatch(answer, -1) {
		r.cookies = append(r.cookies, m[1])
	}
	for i, cookie := range r.cookies {
		answer = strings.ReplaceAll(answer, cookie, fmt.Sprintf("<cookie %d>", i+1))
	}
	return cartID.ReplaceAllStringFunc(answer, func(field string) string {
		id := cartID.FindStringSubmatch(field)[1]
		n := slices.Index(r.carts, id)
		if n < 0 {
			n = len(r.carts)
			r.carts = append(r.carts, id)
		}
		return strings.TrimSuffix(field, id) + fmt.Sprintf("<cart %d>", n+1)
	})
}

// callREST sends a request, and returns the status, the headers that clients look at and the body.
func (r *replay) callREST(request string) string {
	r.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequestWithContext(r.Context(), method, r.rest+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields + "\n\n"))).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		r.Fatal(err)
	}
	req.Header = http.Header(header)
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirects
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	var answer strings.Builder
	fmt.Fprintln(&answer, resp.StatusCode)
	for _, name := range r.headers {
		for _, value := range resp.Header.Values(name) {
			fmt.Fprintf(&answer, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&answer, "\n%s", content)
	return strings.TrimSuffix(answer.String(), "\n")
}

// callRPC calls a method, and returns the status and the message or details.
func (r *replay) callRPC(method, body string) string {
	r.Helper()
	m := cartv1.File_sellio_cart_v1_cart_proto.Services().Get(0).Methods().ByName(protoreflect.Name(method))
	if m == nil {
		r.Fatalf("no method is called %q", method)
	}
	in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if err := protojson.Unmarshal([]byte(body), in); err != nil {
		r.Fatal(err)
	}
	err := r.conn.Invoke(r.Context(), fmt.Sprintf("/%s/%s", m.Parent().FullName(), method), in, out)
	st := status.Convert(err)
	answer := st.Code().String()
	if err != nil {
		return answer + ": " + st.Message() + "\n\n" + r.json(st.Proto())
	}
	return answer + "\n\n" + r.json(out)
}

// json prints a message. Package protojson varies its spaces on purpose.
func (r *replay) json(m proto.Message) string {
	r.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		r.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		r.Fatal(err)
	}
	return compact.String()
}
