using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;
using MultiAgent.Contracts;
using MultiAgent.Data;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting;

namespace MultiAgent.Tenants.Auth;

/// <summary>
/// The keys of access tokens. With <c>JWT_SECRET</c> set, that one signs and <c>JWT_SECRET_PREVIOUS</c> still verifies;
/// otherwise random keys are kept encrypted in the database, and a new one takes over every 30 days.
/// </summary>
internal sealed partial class SigningKeys(
    ServiceDb<TenantDb> db, IDataProtectionProvider protection, IConfiguration configuration, IOptions<AuthOptions> options, TimeProvider time,
    ILogger<SigningKeys> logger) : IStartupTask, IDisposable
{
    private const int MinSecretBytes = 32;
    public static readonly TimeSpan RotationPeriod = TimeSpan.FromDays(30);
    // A token with an unknown key is rare (another process rotated) or forged; forgeries must not cost a query each.
    private static readonly TimeSpan ReloadPause = TimeSpan.FromSeconds(5);

    private readonly IDataProtector _protector = protection.CreateProtector("tenants.signing-keys");
    private readonly SemaphoreSlim _gate = new(1, 1);
    private IReadOnlyList<Key> _keys = [];
    private bool _fixed;
    private DateTimeOffset _loadedAt = DateTimeOffset.MinValue;

    internal sealed record Key(SigningCredentials Credentials, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt);

    /// <summary>How many keys verify at this moment.</summary>
    public int ValidKeys => Volatile.Read(ref _keys).Count(k => k.ExpiresAt > time.GetUtcNow());

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        string? secret = configuration["JWT_SECRET"], previous = configuration["JWT_SECRET_PREVIOUS"];
        if (string.IsNullOrEmpty(secret))
        {
            if (!string.IsNullOrEmpty(previous)) throw new StartupException("JWT_SECRET_PREVIOUS is set but JWT_SECRET is not. Set both, or neither.");
            await CurrentAsync(cancellationToken);
            return;
        }
        var keys = new List<Key> { FromSecret("JWT_SECRET", secret) };
        if (!string.IsNullOrEmpty(previous)) keys.Add(FromSecret("JWT_SECRET_PREVIOUS", previous));
        _fixed = true;
        Volatile.Write(ref _keys, keys);
    }

    /// <summary>The key that signs now; makes a new one when the newest is due.</summary>
    public async ValueTask<SigningCredentials> CurrentAsync(CancellationToken cancellationToken)
    {
        if (Usable() is { } current) return current;
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (Usable() is { } done) return done;
            await using TenantDb context = db.OpenSystem("signing keys");
            // Alone: of two processes, the second finds the key that the first has made.
            await using var transaction = await context.BeginAloneAsync("signing keys", cancellationToken);
            await LoadAsync(context, cancellationToken);
            if (Usable() is { } other) return other;
            DateTimeOffset now = time.GetUtcNow();
            bool first = _keys.Count == 0;
            context.SigningKeys.Add(new SigningKey
            {
                Id = Ids.New("sig", now),
                ProtectedSecret = _protector.Protect(Convert.ToBase64String(RandomNumberGenerator.GetBytes(64))),
                CreatedAt = now,
                ExpiresAt = now + RotationPeriod + options.Value.AccessTokenLifetime + AccessTokens.ClockSkew,
            });
            await context.SaveChangesAsync(cancellationToken);
            await context.SigningKeys.Where(k => k.ExpiresAt < now).ExecuteDeleteAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            await LoadAsync(context, cancellationToken);
            if (!first) LogRotated();
            return Usable() ?? throw new InvalidOperationException("The new signing key cannot be read back.");
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The key with the given id if it still verifies.</summary>
    public async ValueTask<SecurityKey?> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        if (Find(keyId) is { } known) return known.ExpiresAt > time.GetUtcNow() ? known.Credentials.Key : null;
        if (_fixed || time.GetUtcNow() - _loadedAt < ReloadPause || !await _gate.WaitAsync(0, cancellationToken)) return null;
        try
        {
            await using TenantDb context = db.OpenSystem("signing keys");
            await LoadAsync(context, cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
        return Find(keyId) is { } found && found.ExpiresAt > time.GetUtcNow() ? found.Credentials.Key : null;
    }

    public void Dispose() => _gate.Dispose();

    private Key? Find(string keyId) => Volatile.Read(ref _keys).FirstOrDefault(k => k.Credentials.Key.KeyId == keyId);

    private SigningCredentials? Usable() =>
        Volatile.Read(ref _keys) is [{ } newest, ..] && (_fixed || newest.CreatedAt + RotationPeriod > time.GetUtcNow()) ? newest.Credentials : null;

    private async Task LoadAsync(TenantDb context, CancellationToken cancellationToken)
    {
        var keys = new List<Key>();
        foreach (SigningKey row in await context.SigningKeys.AsNoTracking().OrderByDescending(k => k.CreatedAt).ThenByDescending(k => k.Id).ToListAsync(cancellationToken))
        {
            try
            {
                keys.Add(Make(row.Id, Convert.FromBase64String(_protector.Unprotect(row.ProtectedSecret)), row.CreatedAt, row.ExpiresAt));
            }
            catch (CryptographicException)
            {
                // The data folder lost its key ring. People log in again; nothing else depends on it.
                LogUnreadable(row.Id);
            }
        }
        _loadedAt = time.GetUtcNow();
        Volatile.Write(ref _keys, keys);
    }

    private static Key FromSecret(string variable, string secret)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(secret);
        if (bytes.Length < MinSecretBytes)
            throw new StartupException($"{variable} has {bytes.Length} bytes; use at least {MinSecretBytes} random ones (openssl rand -base64 48), or leave it out to let the platform keep keys of its own.");
        string id = "env_" + Convert.ToHexStringLower(SHA256.HashData([.. "kid:"u8, .. bytes]).AsSpan(0, 8));
        return Make(id, bytes, DateTimeOffset.MinValue, DateTimeOffset.MaxValue);
    }

    private static Key Make(string id, byte[] secret, DateTimeOffset createdAt, DateTimeOffset expiresAt) =>
        new(new SigningCredentials(new SymmetricSecurityKey(secret) { KeyId = id }, SecurityAlgorithms.HmacSha256), createdAt, expiresAt);

    [LoggerMessage(EventId = 1, EventName = "SigningKeyRotated", Level = LogLevel.Debug, Message = "A new key signs access tokens from now on")]
    private partial void LogRotated();

    [LoggerMessage(EventId = 2, EventName = "SigningKeyUnreadable", Level = LogLevel.Warning, Message = "Signing key {KeyId} cannot be decrypted and is left out")]
    private partial void LogUnreadable(string keyId);
}
