namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>Starts the servers of one scenario, each as a process of its own, and ends them with it.</summary>
internal sealed class Arena(
    IReadOnlyDictionary<string, Candidate> candidates, Server provider, BenchOptions options) : IDisposable
{
    private readonly List<Server> _started = [];

    public async Task<Contestant> EnterAsync(
        string name, Func<Candidate, ChatRequest> request, CancellationToken cancellationToken)
    {
        var candidate = candidates[name];
        if (name == CandidateList.Direct)
            return new Contestant(name, provider, request(candidate), Problem: null);
        if (!File.Exists(candidate.Requires))
            return new Contestant(name, Server: null, Request: null, "missing");
        try
        {
            EmptyDataFolder();
            var server = await Server.StartAsync(candidate, options, cancellationToken);
            _started.Add(server);
            return new Contestant(name, server, request(candidate), await FirstAnswerAsync(request(candidate), cancellationToken));
        }
        catch (BenchException exception)
        {
            return new Contestant(name, Server: null, Request: null, exception.Message);
        }
    }

    public void Dispose()
    {
        foreach (var server in _started)
            server.Dispose();
        _started.Clear();
    }

    /// <summary>Why the server does not answer as it should, in words of its own; null when it does.</summary>
    public static async Task<string?> FirstAnswerAsync(ChatRequest request, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        try
        {
            using var message = request.ToMessage();
            using var response = await client.SendAsync(message, cancellationToken);
            var body = await response.Content.ReadAsStringAsync(cancellationToken);
            var isStream = response.Content.Headers.ContentType?.MediaType == "text/event-stream";
            if (response.IsSuccessStatusCode)
                return isStream && !body.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal) ? "the stream has no end" : null;
            return $"answers {(int)response.StatusCode}: {body[..Math.Min(body.Length, 300)].ReplaceLineEndings(" ")}";
        }
        catch (HttpRequestException exception)
        {
            return exception.Message;
        }
    }

    private void EmptyDataFolder()
    {
        var data = Path.Combine(options.Artifacts, "data");
        if (Directory.Exists(data))
            Directory.Delete(data, recursive: true);
    }
}
