namespace MultiAgent.Platform.EndToEnd.Tests.Services;

/// <summary>
/// What stands before the gateways in production: requests go in turn to those that are ready. It repeats nothing.
/// </summary>
internal sealed class LoadBalancer : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private readonly Backend[] _backends;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _looking;
    private int _next;

    public LoadBalancer(IEnumerable<string> urls, string key)
    {
        _backends = [.. urls.Select(u => new Backend(u, key))];
        _looking = Task.WhenAll(_backends.Select(b => b.LookAsync(_stop.Token)));
    }

    /// <summary>A client of the next gateway that is ready.</summary>
    public HttpClient Next()
    {
        Backend[] ready = [.. _backends.Where(b => b.Ready)];
        if (ready.Length == 0) throw new InvalidOperationException("No gateway is ready.");
        return ready[(uint)Interlocked.Increment(ref _next) % ready.Length].Client;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _looking;
        foreach (Backend backend in _backends) backend.Client.Dispose();
        _stop.Dispose();
    }

    private sealed class Backend(string url, string key)
    {
        private volatile bool _ready = true;

        public HttpClient Client { get; } = new(new SocketsHttpHandler { PooledConnectionIdleTimeout = TimeSpan.FromSeconds(2) })
        {
            BaseAddress = new Uri(url),
            Timeout = TimeSpan.FromSeconds(60),
            DefaultRequestHeaders = { { "Authorization", $"Bearer {key}" } },
        };

        public bool Ready => _ready;

        public async Task LookAsync(CancellationToken cancellationToken)
        {
            using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
            while (!cancellationToken.IsCancellationRequested)
            {
                try
                {
                    using HttpResponseMessage response = await http.GetAsync($"{url}/health/ready", cancellationToken);
                    _ready = response.IsSuccessStatusCode;
                }
                catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
                {
                    _ready = false;
                }
                await Task.Delay(Interval, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }
}
