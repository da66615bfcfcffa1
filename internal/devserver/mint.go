package devserver

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it aborts the program instead
	return b
}

// hexInBase64 makes Musement's kind of token: 64 hex digits in base64.
func hexInBase64() string {
	return base64.RawStdEncoding.EncodeToString(hex.AppendEncode(nil, randomBytes(32)))
}

// largeString makes GreyMatter's "large token string".
func largeString() string { return base64.RawURLEncoding.EncodeToString(randomBytes(96)) }

// newUUID makes a random UUID, version 4 (RFC 9562 section 5.4).
func newUUID() string {
	b := randomBytes(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func newSigningKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// jsonWebToken makes an access token as GreyMatter's document shows it.
func jsonWebToken(s *Server, d demand, account string, expires time.Time) (access, id string, err error) {
	key, err := s.signer()
	if err != nil {
		return "", "", fmt.Errorf("making a signing key: %w", err)
	}
	id = newUUID()
	claims, err := json.Marshal(map[string]any{
		"scope":     []string{"openid"},
		"exp":       expires.Unix(),
		"jti":       id,
		"client_id": d.clientID,
		"user_name": account,
	})
	if err != nil {
		return "", "", fmt.Errorf("encoding claims: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", "", fmt.Errorf("signing a token: %w", err)
	}
	return signed + "." + encode(signature), id, nil
}
