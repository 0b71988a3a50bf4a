using MultiAgent.Analytics;
using MultiAgent.Hosting;

return await PlatformHost.RunAsync("analytics-service", args, new AnalyticsModule());
