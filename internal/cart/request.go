package cart

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxKey is the largest length of an idempotency key, in characters.
const MaxKey = 255

// Joint is a request to change several carts, all of them or none. It changes and deletes carts, but creates none.
type Joint interface {
	// Refs names the carts.
	Refs() []Ref
	// Validate is as in [Command].
	Validate() error
	// Apply takes the carts that the refs name, nil where there is none, and returns those that change. It may be
	// called again with other carts. The error is a [*MissingError] if it needs more carts than Refs names.
	Apply(found Found) (Outcome, error)
}

// Outcome is what a [Joint] comes to.
type Outcome struct {
	Changed []*Cart // at later versions
	Answer  []int64 // the carts to answer with, in this order
}

// MissingError is the error of a [Joint] that needs more carts.
type MissingError struct{ Refs []Ref }

// Error says what is missing.
func (m *MissingError) Error() string { return fmt.Sprintf("%d more carts are needed", len(m.Refs)) }

// Request is a command and the conditions under which its caller wants it done. They are checked in this order: As, Key,
// Match, the rules of the command.
type Request struct {
	// Command or Joint is what to do, exactly one of them.
	Command Command
	Joint   Joint
	// Key is the idempotency key: visible ASCII, up to [MaxKey] characters. A request that has changed a cart is
	// not done again under the same key, but answered with the cart as it is. "": no key.
	Key string
	// Match is the state that the cart must be in, the first one of a Joint. Nil: any.
	Match *Match
	// As is the caller. Carts of other owners do not exist for it. Nobody: all carts exist.
	As Owner
	// Spend is called before a cart is created, or a key is stored for a request that changes nothing. Its error fails the
	// request. It may be called again for the same request. May be nil.
	Spend func() error
	// Tries is how often the request meets a concurrent change before it fails with CodeConflict; 0: as often as the service
	// sees fit.
	Tries int
}

// Do returns the request to run a command on one cart.
func Do(cmd Command) Request { return Request{Command: cmd} }

// Result is the answer to a [Request].
type Result struct {
	Cart     *Cart     // as the Command left it
	Carts    []*Cart   // as the Joint left them
	Replayed bool      // the request was done before, under the same key; the carts are as they are now
	Changed  bool      // the request has changed a cart
	Created  bool      // the request has created the cart
	Found    time.Time // when the cart had last been changed; zero for a new one
}

// adder is a [Command] that may add to a value, so that repeating it may change the cart again.
type adder interface{ adds() bool }

// Validate checks the command and the conditions. Its error is CodeInvalid and names all fields that are wrong, or
// CodeKeyMissing for a command that adds and has neither a key nor a version.
func (r *Request) Validate() error {
	err := check("idempotency_key", r.Key == "" || ValidKey(r.Key))
	if r.Joint != nil {
		return Invalid(r.Joint.Validate(), err)
	}
	if err := Invalid(r.Command.Validate(), err); err != nil {
		return err
	}
	return r.CheckRepeatable()
}

// CheckRepeatable returns [ErrKeyMissing] for a command that adds and has neither a key nor a version.
func (r *Request) CheckRepeatable() error {
	if a, ok := r.Command.(adder); ok && a.adds() && r.Key == "" && !r.Match.names() {
		return ErrKeyMissing
	}
	return nil
}

// Refs names the carts of the request.
func (r *Request) Refs() []Ref {
	if r.Joint != nil {
		return r.Joint.Refs()
	}
	return []Ref{r.Command.Ref()}
}

// ValidKey reports whether s can be an idempotency key.
func ValidKey(s string) bool {
	return s != "" && len(s) <= MaxKey && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// Receipt is what remains of a request with a key.
type Receipt struct {
	Key         [32]byte  // see [Request.ReceiptKey]
	Fingerprint []byte    // of the request; see [Request.Fingerprint]
	Owner       []byte    // of the cart; see [Owner.Hash]; empty: unknown
	CartID      int64     // 0: the request was answered with several carts
	CompanyID   int64     // of that cart
	Version     int64     // of that cart, after the request
	CreatedAt   time.Time // of that cart
	// At is when the receipt was stored, and Cart is that cart as it is now, nil where it is gone. Both are loaded and not
	// saved.
	At   time.Time
	Cart *Cart
}

// ReceiptKey returns the key under which the request is remembered: a hash of its Key and of the carts as the request names
// them.
func (r *Request) ReceiptKey() [32]byte {
	var scope string
	if r.Joint != nil {
		var ids []int64
		for _, ref := range r.Joint.Refs() {
			ids = append(ids, ref.ID)
		}
		slices.Sort(ids)
		scope = fmt.Sprint("cart ", ids)
	} else if ref := r.Command.Ref(); ref.ID > 0 {
		scope = fmt.Sprint("cart ", []int64{ref.ID})
	} else {
		scope = fmt.Sprint("company ", ref.CompanyID, " user ", ref.Owner.UserID, " guest ", ref.Owner.Cookie)
	}
	return sha256.Sum256([]byte(scope + "\n" + r.Key)) // neither part has a line break
}

// fingerprintFormat is the first byte of a fingerprint. It changes when the same request gets another fingerprint than
// before. Fingerprints of other formats are not compared.
const fingerprintFormat = 1

// Fingerprint returns a digest of what the request asks for, with its format in the first byte. Requests that ask for the
// same have the same fingerprint, over REST and gRPC.
func (r *Request) Fingerprint() []byte {
	var what any = r.Command
	if r.Joint != nil {
		what = r.Joint
	}
	text, err := json.Marshal(what)
	if err != nil {
		panic(err) // Commands are structs of plain values.
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%T %s", what, text))
	return append([]byte{fingerprintFormat}, sum[:16]...)
}

// CheckRepeated returns [ErrKeyReused] if the receipt is of another request.
func (r *Request) CheckRepeated(done *Receipt) error {
	print := r.Fingerprint()
	if len(done.Fingerprint) > 0 && done.Fingerprint[0] == print[0] && string(done.Fingerprint) != string(print) {
		return ErrKeyReused
	}
	return nil
}

// Hash returns a digest of the owner, from which a cookie cannot be found; nil for nobody.
func (o Owner) Hash() []byte {
	if o.IsNobody() {
		return nil
	}
	sum := sha256.Sum256([]byte(strconv.FormatInt(o.UserID, 10) + " " + o.Cookie))
	return sum[:16]
}

// Match is a condition on the state of one cart: that it exists or, where there are tags, that one of them is its own.
type Match struct{ Tags []Tag }

// Tag names one state of a cart. As an entity tag (RFC 9110, section 8.8.3) it is printed with quotes: "17-5".
type Tag struct{ ID, Version int64 }

// Tag returns the tag of the cart.
func (c *Cart) Tag() Tag { return Tag{c.ID, c.Version} }

// String returns the tag as an entity tag.
func (t Tag) String() string {
	b := strconv.AppendInt(append(make([]byte, 0, 32), '"'), t.ID, 10)
	b = strconv.AppendInt(append(b, '-'), t.Version, 10)
	return string(append(b, '"'))
}

// names reports whether the condition names a version of the cart.
func (m *Match) names() bool { return m != nil && len(m.Tags) > 0 }

// check returns a CodeVersionMismatch if the cart is in another state. A nil cart means that there is none.
func (m *Match) check(c *Cart) error {
	if m == nil || c != nil && (len(m.Tags) == 0 || slices.Contains(m.Tags, c.Tag())) {
		return nil
	}
	return errVersion(c)
}

// Apply applies the Command under the request's Match. A nil cart means that there is none.
func (r *Request) Apply(c *Cart) (*Cart, error) {
	if err := r.check(r.Command.Ref(), c); err != nil {
		return nil, err
	}
	if s, ok := r.Command.(SetStatus); ok && r.Match.names() {
		s.Versioned = true
		return s.Apply(c)
	}
	return r.Command.Apply(c)
}

// ApplyJoint applies the Joint under the request's Match.
func (r *Request) ApplyJoint(found Found) (Outcome, error) {
	first := r.Joint.Refs()[0]
	if err := r.check(first, found[first]); err != nil {
		return Outcome{}, err
	}
	return r.Joint.Apply(found)
}

// check checks the request's Match. A cart that is named by its id and does not exist is left to the command, which finds
// out.
func (r *Request) check(ref Ref, c *Cart) error {
	if c == nil && ref.ID > 0 {
		return nil
	}
	return r.Match.check(c)
}

// Emptied returns the cart of a receipt as it is answered when it is gone: without lines, at the version that the request
// left.
func Emptied(r *Receipt, owner Owner) *Cart {
	c := &Cart{ID: r.CartID, CompanyID: r.CompanyID, Status: Active, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.At, Gone: true}
	if !owner.IsNobody() {
		c.UserID, c.Cookie = owner.stored()
	}
	return c
}
