using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>Checks an address and a password. From outside an unknown address, a wrong password and a disabled account are one answer and take one time.</summary>
internal sealed class PasswordLogin(ServiceDb<TenantDb> db, LoginGuard guard)
{
    /// <summary>The user, or null; and when attempts on the address are locked, for how long.</summary>
    public async Task<(User? User, TimeSpan? LockedFor)> CheckAsync(string email, string password, string? tenantSlug, CancellationToken cancellationToken)
    {
        string normalized = User.Normalize(email);
        User? user = null;
        (bool passed, TimeSpan? lockedFor) = await guard.AttemptAsync(normalized, async () =>
        {
            user = await FindAsync(normalized, tenantSlug, cancellationToken);
            return await VerifyAsync(user, password, cancellationToken);
        }, cancellationToken);
        return (passed ? user : null, lockedFor);
    }

    /// <summary>Checks the password of a user who is logged in, under the same guard against guessing.</summary>
    public Task<(bool Passed, TimeSpan? LockedFor)> CheckAsync(User user, string password, CancellationToken cancellationToken) =>
        guard.AttemptAsync(user.NormalizedEmail, () => VerifyAsync(user, password, cancellationToken), cancellationToken);

    private async Task<User?> FindAsync(string normalizedEmail, string? tenantSlug, CancellationToken cancellationToken)
    {
        await using TenantDb context = db.OpenSystem("log-in");
        List<User> found = await context.Users.AsNoTracking().Where(u => u.NormalizedEmail == normalizedEmail && u.Status == UserStatus.Active)
            .Join(context.Tenants.Where(t => t.Status == TenantStatus.Active && (tenantSlug == null || t.Slug == tenantSlug)), u => u.TenantId, t => t.Id, (u, t) => u)
            .Take(2).ToListAsync(cancellationToken);
        // Two accounts and no tenant named: to say so would tell that the address exists.
        return found is [{ } only] ? only : null;
    }

    private async Task<bool> VerifyAsync(User? user, string password, CancellationToken cancellationToken)
    {
        PasswordMatch match = Passwords.Verify(user, password);
        if (user is null || match == PasswordMatch.None) return false;
        if (match == PasswordMatch.Outdated)
        {
            string old = user.PasswordHash, hash = Passwords.Hash(password);
            await using TenantDb context = db.Open(user.TenantId);
            await context.Users.Where(u => u.Id == user.Id && u.PasswordHash == old).ExecuteUpdateAsync(set => set.SetProperty(u => u.PasswordHash, hash), cancellationToken);
        }
        return true;
    }
}
