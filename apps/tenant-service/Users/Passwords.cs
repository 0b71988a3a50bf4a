using System.Buffers.Text;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Identity;

namespace MultiAgent.Tenants.Users;

internal enum PasswordMatch
{
    None,
    Match,
    /// <summary>Right, but hashed with weaker settings than today's.</summary>
    Outdated,
}

/// <summary>Hashing by ASP.NET Core Identity, and what a password must be.</summary>
internal static class Passwords
{
    public const int MinLength = 12;
    public const int MaxLength = 128;
    private const int MinDistinct = 4;

    // The hasher hands the user to overrides only; there are none.
    private static readonly object Anybody = new();
    private static readonly PasswordHasher<object> Hasher = new();
    // Somebody's hash has to be computed for addresses that nobody has.
    private static readonly string NobodysHash = Hasher.HashPassword(Anybody, Generate());

    // Those of the well-known lists that are long enough to pass otherwise.
    private static readonly HashSet<string> Common = new(StringComparer.OrdinalIgnoreCase)
    {
        "123456789012", "1234567890123", "12345678901234", "1234567890123456", "0123456789012", "123123123123", "111222333444", "987654321012",
        "password1234", "password12345", "password123456", "passwordpassword", "mypassword123", "yourpassword", "passw0rd1234", "p@ssw0rd1234", "p@ssword1234",
        "qwertyuiop12", "qwertyuiop123", "qwertyuiop[]", "qwerty123456", "qwertyqwerty", "1q2w3e4r5t6y", "1q2w3e4r5t6y7u", "1qaz2wsx3edc", "1qaz2wsx3edc4rfv", "qazwsxedcrfv", "zaq12wsxcde3",
        "asdfghjkl123", "asdfghjkl;'", "zxcvbnm12345", "abcdefghijkl", "abcdefghijklm", "abcdefgh1234", "abcd12345678", "abc123456789", "a1b2c3d4e5f6", "aa1234567890",
        "administrator", "administrator1", "admin1234567", "adminadmin12", "adminadminadmin", "rootrootroot", "letmein12345", "letmein123456", "letmeinletmein", "welcome12345", "welcome123456",
        "changeme1234", "changeme12345", "changemechangeme", "iloveyou1234", "iloveyouforever", "ilovemyfamily", "sunshine1234", "princess1234", "football1234", "baseball1234", "superman1234", "trustno1trustno1",
        "correcthorsebatterystaple", "correct horse battery staple", "thequickbrownfox", "secretsecret", "secret123456", "default12345", "test12345678", "testtesttest", "testpassword", "demodemodemo", "demopassword", "unknown12345",
    };

    public static string Hash(string password) => Hasher.HashPassword(Anybody, password);

    /// <summary>Compares; for no user it takes as long and never matches.</summary>
    public static PasswordMatch Verify(User? user, string password)
    {
        PasswordVerificationResult result = Hasher.VerifyHashedPassword(Anybody, user?.PasswordHash ?? NobodysHash, password.Length <= MaxLength ? password : "");
        return user is null ? PasswordMatch.None : result switch
        {
            PasswordVerificationResult.Success => PasswordMatch.Match,
            PasswordVerificationResult.SuccessRehashNeeded => PasswordMatch.Outdated,
            _ => PasswordMatch.None,
        };
    }

    public static string Generate() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(15));

    /// <summary>What is wrong with a new password, or null.</summary>
    public static string? Problem(string? password, string email)
    {
        if (password is null || password.Length < MinLength) return $"must have at least {MinLength} characters";
        if (password.Length > MaxLength) return $"must have at most {MaxLength} characters";
        if (User.Normalize(password) == User.Normalize(email)) return "must not be the email address";
        return Common.Contains(password.Trim()) || password.Distinct().Count() < MinDistinct ? "is one of the most common ones; choose another" : null;
    }
}
