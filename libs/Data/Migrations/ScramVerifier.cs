using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Data.Migrations;

/// <summary>
/// What PostgreSQL keeps of a password (RFC 5803, https://www.postgresql.org/docs/16/catalog-pg-authid.html), made here so that the password itself
/// stays out of the statement and out of the server's log.
/// </summary>
internal static class ScramVerifier
{
    private const int Iterations = 4096;

    public static string Of(string password)
    {
        byte[] salt = RandomNumberGenerator.GetBytes(16);
        // SASLprep leaves printable ASCII as it is; other passwords may not log in from clients that prepare them otherwise.
        byte[] salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password.Normalize(NormalizationForm.FormKC)), salt, Iterations, HashAlgorithmName.SHA256, 32);
        byte[] stored = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8)), server = HMACSHA256.HashData(salted, "Server Key"u8);
        return $"SCRAM-SHA-256${Iterations}:{Convert.ToBase64String(salt)}${Convert.ToBase64String(stored)}:{Convert.ToBase64String(server)}";
    }
}
