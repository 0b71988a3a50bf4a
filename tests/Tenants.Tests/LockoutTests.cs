using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Tenants.Users;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed class LockoutTests : IDisposable
{
    private const string Unknown = "nobody@example.com";

    private readonly TempFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(TenantHost.OwnerEmail)]
    [InlineData(Unknown)]
    public async Task Guessing_LocksTheAddress_LongerEachTime(string email)
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        for (int i = 0; i < 4; i++) (await host.LoginAsync(email, "wrong")).Expect(401, "invalid_credentials");
        foreach (int seconds in (int[])[60, 120, 240, 480, 960, 1920, 3600, 3600])
        {
            (await host.LoginAsync(email, "wrong")).Expect(401, "invalid_credentials");
            Reply locked = (await host.LoginAsync(email, TenantHost.OwnerPassword)).Expect(429, "account_locked");
            Assert.Equal(TimeSpan.FromSeconds(seconds), locked.Headers.RetryAfter!.Delta);
            _time.Advance(TimeSpan.FromSeconds(seconds - 1));
            (await host.LoginAsync(email, "wrong")).Expect(429, "account_locked");
            _time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public async Task RightPassword_AfterTheLock_ForgetsTheFailures()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        for (int i = 0; i < 5; i++) (await host.LoginAsync(password: "wrong")).Expect(401);
        _time.Advance(TimeSpan.FromMinutes(1));
        (await host.LoginAsync()).Expect(200);
        for (int i = 0; i < 4; i++) (await host.LoginAsync(password: "wrong")).Expect(401);
        (await host.LoginAsync()).Expect(200);
    }

    [Fact]
    public async Task Lock_SurvivesARestart_AndADayForgetsIt()
    {
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path, _time))
            for (int i = 0; i < 5; i++) (await host.LoginAsync(password: "wrong")).Expect(401);
        await using TenantHost again = await TenantHost.StartAsync(_folder.Path, _time);
        (await again.LoginAsync()).Expect(429, "account_locked");
        _time.Advance(TimeSpan.FromHours(25));
        for (int i = 0; i < 4; i++) (await again.LoginAsync(password: "wrong")).Expect(401);
        (await again.LoginAsync()).Expect(200);
    }

    [Fact]
    public async Task Guessing_InParallel_GetsNoMoreTries()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        Reply[] replies = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => host.LoginAsync(password: "wrong")));
        Assert.Equal(5, replies.Count(r => r.Status == 401));
        Assert.Equal(25, replies.Count(r => r.Code == "account_locked"));
    }

    [Fact]
    public async Task Guessing_TheCurrentPasswordWithAToken_IsLockedToo()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        string token = (await host.LoginAsync()).Expect(200)["accessToken"];
        for (int i = 0; i < 5; i++) (await host.PostAsync("/api/v1/me/password", new { current = "wrong", @new = "another-good-password" }, token)).Expect(403);
        (await host.PostAsync("/api/v1/me/password", new { current = TenantHost.OwnerPassword, @new = "another-good-password" }, token)).Expect(429, "account_locked");
    }

    [Fact]
    public async Task Attempts_FromOneAddress_AreLimitedOverAllAccounts()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time, ("Auth:AttemptsPerMinute", "3"), ("Auth:AttemptBurst", "3"));
        for (int i = 0; i < 3; i++) (await host.LoginAsync($"a{i}@example.com", "wrong")).Expect(401);
        Reply refused = (await host.LoginAsync("b@example.com", "wrong")).Expect(429, "rate_limit_exceeded");
        Assert.Equal(TimeSpan.FromSeconds(20), refused.Headers.RetryAfter!.Delta);
        _time.Advance(TimeSpan.FromSeconds(20));
        (await host.LoginAsync("b@example.com", "wrong")).Expect(401);
        (await host.LoginAsync("c@example.com", "wrong")).Expect(429);
        (await host.GetAsync("/api/v1/me")).Expect(200);
    }

    [Fact]
    public void Verify_ForNobody_HashesAllTheSame()
    {
        var user = new User { Id = "usr", Email = "a@b", NormalizedEmail = "A@B", Name = "n", Role = Contracts.Identity.Role.Viewer, CreatedAt = default, PasswordHash = Passwords.Hash("a-long-enough-password") };
        TimeSpan somebody = Fastest(() => Passwords.Verify(user, "wrong")), nobody = Fastest(() => Passwords.Verify(null, "wrong"));
        // Without the hash it would be a thousandth.
        Assert.True(nobody > somebody / 4, $"{nobody} against {somebody}");
        Assert.Equal(PasswordMatch.None, Passwords.Verify(null, "wrong"));
    }

    private static TimeSpan Fastest(Action action) => Enumerable.Range(0, 5).Min(_ =>
    {
        long started = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(started);
    });
}
