package app

import "testing"

func TestSecretParam(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"password":              true, // RFC 6749 section 4.3.2
		"code":                  true, // RFC 6749 section 4.1.3
		"code_verifier":         true, // RFC 7636 section 4.5
		"refresh_token":         true,
		"assertion":             true, // RFC 7521 section 4.1
		"client_assertion":      true,
		"device_code":           true, // RFC 8628 section 3.4
		"subject_token":         true, // RFC 8693 section 2.1
		"actor_token":           true,
		"client_secret":         true,
		"passwd":                true,
		"passcode":              true,
		"passphrase":            true,
		"pwd":                   true,
		"user_pass":             true,
		"pin":                   true,
		"operator_pin":          true,
		"otp":                   true,
		"mfa_code":              true,
		"securityCode":          true,
		"api_key":               true,
		"apiKey":                true,
		"APIKey":                true,
		"x-api-key":             true,
		"PASSWORD":              true,
		"userPassword":          true,
		"UserPassword":          true,
		"user-password":         true,
		"user.password":         true,
		"userpassword":          true,
		"password2":             true,
		"accessToken":           true,
		"OTP":                   true,
		"userPIN":               true,
		"username":              false,
		"user":                  false,
		"operator":              false,
		"scope":                 false,
		"audience":              false,
		"resource":              false,
		"client_id":             false,
		"grant_type":            false,
		"redirect_uri":          false,
		"brand_key":             false, // Rator's: which brand, not a proof
		"brandKey":              false,
		"country_code":          false,
		"tenantCode":            false,
		"client_assertion_type": false, // RFC 7521 section 4.2
		"subject_token_type":    false, // RFC 8693 section 2.1
		"requested_token_type":  false,
		"password_hint":         false,
		"topspin":               false,
		"bypass":                false,
		"":                      false,
		"_":                     false,
		"42":                    false,
	} {
		if got := secretParam(name); got != want {
			t.Errorf("secretParam(%q) is %t", name, got)
		}
	}
}
