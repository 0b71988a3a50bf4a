using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Services.Clients;

/// <summary>
/// The tenant service in another process. Callers are kept, so that the steady state asks nobody. While the feed of changes is heard, a caller is dropped
/// the moment that it changes, and asked for again now and then behind the requests; while it is not, a caller is believed for half a second. While NATS or Redis
/// works and the tenant service is silent there, it is asked as often; if it does not answer it is gone, and cannot have changed anything.
/// </summary>
internal sealed class TenantDirectoryClient : ITenantDirectory, IDisposable
{
    public const string FindPath = "/internal/v1/callers/find";

    /// <summary>How long a caller is believed when nobody would tell of a change. The tenant service may itself look back as far: together below a second.</summary>
    internal static readonly TimeSpan BelievedUnheard = TimeSpan.FromMilliseconds(500);

    /// <summary>After this time a caller is asked for again, while requests go on with the old one.</summary>
    internal static readonly TimeSpan RefreshAfter = TimeSpan.FromSeconds(30);

    /// <summary>How long a caller is believed while the tenant service cannot be asked, and the feed is heard.</summary>
    internal static readonly TimeSpan BelievedAlone = TimeSpan.FromMinutes(10);

    private const int MaxEntries = 100_000;
    private static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(15);

    // What a request waits for the check of a caller who is known already.
    private static readonly TimeSpan CheckTime = TimeSpan.FromSeconds(1);

    // After a check in vain the next ones are made behind the requests.
    private static readonly TimeSpan InVain = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Task<Caller?>> _loading = new(StringComparer.Ordinal);
    private readonly ServiceClient _client;
    private readonly ICallerChangeFeed _feed;
    private readonly TimeProvider _time;
    private readonly IDisposable _subscription;
    private long _generation;
    private long _checkedInVain;

    public TenantDirectoryClient(ServiceClients clients, ICallerChangeFeed feed, TimeProvider time)
    {
        (_client, _feed, _time) = (clients.For(ServiceTopology.Tenants), feed, time);
        _subscription = feed.Subscribe(Forget, ForgetAll);
    }

    private sealed class Entry(Caller caller, long asked)
    {
        public Caller Caller => caller;

        /// <summary>When the tenant service was asked: what it said was true then.</summary>
        public long Asked => asked;

        public int Refreshing;
    }

    public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) => FindAsync(presentedKey, isToken: false, cancellationToken);

    public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) => FindAsync(token, isToken: true, cancellationToken);

    public void Dispose() => _subscription.Dispose();

    private ValueTask<Caller?> FindAsync(string credential, bool isToken, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<Caller?>(cancellationToken);
        if (!_entries.TryGetValue(credential, out Entry? entry)) return new(LoadSharedAsync(credential, isToken).WaitAsync(cancellationToken));
        TimeSpan age = _time.GetElapsedTime(entry.Asked);
        if (age >= (_feed.HearsOthers ? BelievedAlone : BelievedUnheard)) return new(LoadSharedAsync(credential, isToken).WaitAsync(cancellationToken));
        bool check = age >= BelievedUnheard && !_feed.HearsTellers;
        if (check && !IsInVain) return new(CheckAsync(credential, isToken, entry, cancellationToken));
        if ((check || age >= RefreshAfter) && Interlocked.Exchange(ref entry.Refreshing, 1) == 0) _ = RefreshAsync(credential, isToken, entry);
        return new(Valid(entry.Caller));
    }

    private bool IsInVain => Volatile.Read(ref _checkedInVain) is not 0 and var since && _time.GetElapsedTime(since) < InVain;

    private Caller? Valid(Caller caller) => caller.ValidUntil <= _time.GetUtcNow() ? null : caller;

    // Whoever would tell of a change is silent: cut off, or gone. Only the question tells which.
    private async Task<Caller?> CheckAsync(string credential, bool isToken, Entry entry, CancellationToken cancellationToken)
    {
        try
        {
            return await LoadSharedAsync(credential, isToken).WaitAsync(CheckTime, _time, cancellationToken);
        }
        catch (Exception e) when (e is ApiException or TimeoutException)
        {
            Volatile.Write(ref _checkedInVain, _time.GetTimestamp());
            return Valid(entry.Caller);
        }
    }

    // One question at a time for each credential, however many requests wait for the answer.
    private Task<Caller?> LoadSharedAsync(string credential, bool isToken)
    {
        var mine = new TaskCompletionSource<Caller?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<Caller?> shared = _loading.GetOrAdd(credential, mine.Task);
        if (shared == mine.Task) _ = CompleteAsync();
        return shared;

        async Task CompleteAsync()
        {
            try
            {
                Caller? caller = await LoadAsync(credential, isToken);
                _loading.TryRemove(credential, out _);
                mine.SetResult(caller);
            }
            catch (Exception e)
            {
                _loading.TryRemove(credential, out _);
                mine.SetException(e);
                // The requests that waited may all have left.
                _ = mine.Task.Exception;
            }
        }
    }

    private async Task RefreshAsync(string credential, bool isToken, Entry entry)
    {
        try
        {
            await LoadSharedAsync(credential, isToken);
        }
        catch (ApiException)
        {
            // The tenant service is away; the next request asks again.
            Volatile.Write(ref _checkedInVain, _time.GetTimestamp());
            Volatile.Write(ref entry.Refreshing, 0);
        }
    }

    private async Task<Caller?> LoadAsync(string credential, bool isToken)
    {
        long generation = Volatile.Read(ref _generation), asked = _time.GetTimestamp();
        var query = new CredentialQuery(isToken ? null : credential, isToken ? credential : null);
        using HttpResponseMessage response = await _client.SendAsync(new ServiceRequest(HttpMethod.Post, FindPath)
        {
            Idempotent = true,
            TimeLimit = TimeLimit,
            Content = () => JsonContent.Create(query, ServiceJson.Default.CredentialQuery),
        }, CancellationToken.None);
        if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.NoContent) Volatile.Write(ref _checkedInVain, 0);
        if (response.StatusCode == HttpStatusCode.NoContent)
        {
            _entries.TryRemove(credential, out _);
            return null;
        }
        if (response.StatusCode != HttpStatusCode.OK)
            throw new ApiException(503, ErrorCodes.ServiceUnavailable, $"The {_client.Name} answered {(int)response.StatusCode}. Try again.") { RetryAfter = TimeSpan.FromSeconds(1) };
        Caller caller;
        try
        {
            caller = (await response.Content.ReadFromJsonAsync(ServiceJson.Default.WireCaller))!.ToCaller();
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            throw new ApiException(503, ErrorCodes.ServiceUnavailable, $"The {_client.Name} broke off its answer. Try again.") { RetryAfter = TimeSpan.FromSeconds(1) };
        }
        Keep(credential, new Entry(caller, asked), generation);
        return Valid(caller);
    }

    private void Keep(string credential, Entry entry, long generation)
    {
        if (_entries.Count >= MaxEntries) _entries.Clear();
        // What was told while the answer was on the way may be about this caller: it must not be kept.
        if (generation == Volatile.Read(ref _generation)) _entries[credential] = entry;
        if (generation != Volatile.Read(ref _generation)) _entries.TryRemove(credential, out _);
    }

    private void Forget(CallerChanged change)
    {
        Interlocked.Increment(ref _generation);
        foreach ((string credential, Entry entry) in _entries)
        {
            Caller caller = entry.Caller;
            bool concerned = caller.TenantId == change.TenantId && (change is { ApiKeyId: null, UserId: null }
                || (change.ApiKeyId is not null && caller.ApiKeyId == change.ApiKeyId)
                || (change.UserId is not null && caller.ApiKeyId is null && caller.UserId == change.UserId));
            if (concerned) _entries.TryRemove(credential, out _);
        }
        // A question that is under way may bring the old answer: those who come from now on ask anew.
        _loading.Clear();
    }

    private void ForgetAll()
    {
        Interlocked.Increment(ref _generation);
        _entries.Clear();
        _loading.Clear();
    }
}
